// Package page shows the state of a host to people, and in the same words to programs.
//
// `baton-host run --listen` serves it, from a status.Board. It is rendered here, with what is
// embedded: it must never have a browser load anything from elsewhere, nor need a script to
// be read, nor show anything that the board does not hold.
package page

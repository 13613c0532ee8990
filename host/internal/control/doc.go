// Package control is the local door of a running host: a socket in its state directory, over
// which commands of the same user ask it for something, and the client that those commands
// use.
//
// `baton-host run` serves it, and `baton-host approve` is its client. Who connects must prove
// that they can read a file of that directory which only the host's user can read. It must
// never be reached over a network, never answer who has not proven that, and never delay the
// service: a client that is slow, large or stuck loses its connection.
//
// A request is an HTTP POST to "/NAME" with a body of JSON, {"version": 1, "request": …}. The
// answer is {"version": 1, "host": "…", "answer": …}, or has an "error" in the place of the
// answer, in a sentence. A request or a member that a host does not know is refused, never
// passed over: so an old host does not do half of what a newer command asks for.
package control

// Package listen opens the address at which a host serves its status, and guards it.
//
// `baton-host run --listen` calls it. What is served has no login: so it must never open an
// address that other machines reach unless that was asked for, nor answer a web page of
// another site that a browser on this machine has been led to.
package listen

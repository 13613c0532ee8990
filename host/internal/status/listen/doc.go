// Package listen opens the address at which a host shows how it is, and stands
// guard there.
//
// `baton-host run --listen` calls it. What is served has no login: so it must never
// open an address that other machines reach unless that was asked for, nor answer a
// web page of somebody else that a browser on this machine has been led to.
package listen

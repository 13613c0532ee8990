// Package call calls one method of a plugin by hand: names become methods, JSON becomes
// requests, and answers become JSON.
//
// The command line calls it, with the connection of a plugin that is running. It must never
// start a plugin, never decide whether an app may be changed (it only reports which methods
// change one), and never take a request for another one than was written.
package call

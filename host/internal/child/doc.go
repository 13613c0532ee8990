// Package child has what every program that the host starts is given: the environment that it
// may see, a process group of its own, and a sentence where the system does not execute it.
//
// Package proc calls it for plugins, and package secret/helper for the programs that return
// secrets. It must never let a program see a variable that is neither on the list nor named
// by the operator.
package child

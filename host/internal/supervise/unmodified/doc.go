// Package unmodified runs a Baton connector that was built without this project, and
// knows no host, as a plugin: it does what the SDK's own parent process does for its
// child, which is the only way into such a connector.
//
// Package supervise calls it: to recognize such a connector, to ask it what it is, to
// configure its process, and to call it. It must never put a value of the configuration
// into arguments or the environment, and never leave one on disk longer than it takes to
// be read.
package unmodified

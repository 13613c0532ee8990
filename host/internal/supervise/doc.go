// Package supervise finds plugin binaries, verifies them, starts them as
// subprocesses, configures them, watches them, replaces processes that end and
// stops them.
//
// The command line calls it for every plugin of a run; what it hands on is a
// [Plugin], whose connection package aggregate routes to. It must never pass a
// secret in arguments or the environment, never let anything a plugin writes or
// does harm the host, fill its disk or leak a secret into its log or its errors,
// and never leave a process or a socket behind.
package supervise

// Package supervise keeps one plugin running over as many processes as it takes: it
// finds its program, starts, configures and watches a process, restarts it when it ends,
// and stops it.
//
// Package fleet calls it for every plugin of a configuration, and package host for a
// single one; the connection of a [Plugin] is what package aggregate routes to. It must
// never pass a secret in arguments or the environment, let anything a plugin does harm
// the host, or leave a process or a socket behind.
package supervise

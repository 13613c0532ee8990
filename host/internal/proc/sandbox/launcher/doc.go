// Package launcher restricts a process that has just been forked, and has it execute the
// program that it was forked for: the host's own executable, started again, is that process
// until then.
//
// Package sandbox writes the requests, and imports this package, which works from its own
// initialization. It must never import more than package syscall, so that it is initialized
// before the packages that make the host's start slow, and must never execute a program with
// a part of its sandbox missing.
package launcher

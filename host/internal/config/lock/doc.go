// Package lock reads and writes the lock file, which says what the binaries of a
// configuration's plugins were when somebody looked at them.
//
// The command that locks writes it, and every command that starts plugins reads
// it and has package supervise verify them. It must never hold a secret, nor
// anything of the machine it was written on but its operating system and
// architecture: it is meant for version control.
package lock

// Package files makes the private directories that a run works in and removes
// those that dead runs left behind, replaces files of the state whole, and reads files
// that people name within a limit, with errors in sentences.
//
// Whoever needs scratch space that must not stay behind calls it: the writer and
// the reader of sync files, and the supervisor for its sockets. It must never
// remove a directory of a run that is alive, nor anything that it did not make.
package files

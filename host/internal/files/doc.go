// Package files makes the private directories that a run works in and removes
// those that dead runs left behind, replaces files of the state whole, and reads files
// that people name within a limit, with errors in sentences.
//
// What needs scratch space or keeps state calls it: the writer and the reader of sync files,
// the baseline, the history, and the supervisor for its sockets. It must never remove a
// directory of a run that is alive, nor anything that it did not make.
package files

// Package nearest finds the name that a person most likely meant.
//
// Whoever tells a person that a name is unknown calls it: package config, and the
// command line. It must never choose for the person: what it finds is for a
// question.
package nearest

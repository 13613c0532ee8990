// Package settings brings what a plugin is configured with, from a file or the environment,
// into the form that its schema wants, and reports everything that does not fit by place.
//
// Package config makes settings of a file's entries; the fleet binds them once a plugin has
// described itself, and package host reports the problems. It must never repeat a value of
// a secret or of a reference in a message.
package settings

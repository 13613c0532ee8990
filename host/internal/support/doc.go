// Package support writes what a bug report needs of a host: versions, the outline of its
// configuration, states, metrics and the last errors.
//
// Package host collects a [Source] and calls [Text]; a person reads the text before it is
// written to a file. It must never show a secret, an address, a path, or the name of a person or
// a company: of a text it shows the words of the host alone, and of what has a name an alias.
package support

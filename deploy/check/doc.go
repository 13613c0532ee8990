// Package check holds what is in deploy/ against what will read it: Kubernetes'
// own types, BuildKit's parser, systemd's syntax, and the rest of this repository.
//
// Only `make test` calls it. It is a separate module, so that none of these
// libraries is a dependency of the host; it must never be imported.
package check

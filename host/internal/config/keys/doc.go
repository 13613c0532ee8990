// Package keys is the table of what can stand in baton-host.yaml: every key
// with its form, its limits, its default and its meaning.
//
// The reader (host/internal/config) takes names and limits from it, and the JSON Schema for
// editors (host/internal/config/schema) and the documents are made of it, so that they
// cannot come to differ. It must never hold what a plugin takes below its config:
// that only the plugin tells.
package keys

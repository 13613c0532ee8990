// Package redact removes the values of secrets from texts, however a careless program wrote
// them: plain, line by line, with the escapes of JSON, Go or a URL, or in base64.
//
// The plugin side calls it for what an author's code reports about a configuration, the host
// for everything that a plugin logs or returns as an error, and the SCIM reader to find a
// token that an app sends back. It must never be relied on against a hostile program, which
// can write a secret in ways that no search finds.
package redact

// Package redact blanks the values of secrets in texts, however a careless
// program wrote them down: plain, line by line, with the escapes of JSON, Go or
// a URL, or in base64.
//
// The plugin side calls it for what an author's code says of a configuration, the
// host for everything that a plugin logs or answers with an error, and the SCIM
// reader to find a token that an app sends back. It must never be taken for a
// wall: a program that wants to give a secret away can write it in ways that
// nobody looks for.
package redact

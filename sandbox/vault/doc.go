// Package vault is a server of secrets on the wire of HashiCorp Vault: KV of both versions,
// dynamic secrets with leases, logins, a namespace, and tokens that are renewed, all in memory.
//
// Tests start it for the host to read, change it as an operator or a bad day would, and count
// what it was asked. It must never be part of what is shipped, share code with the host, or
// decide by its own clock that something has ended.
package vault

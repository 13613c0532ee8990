// Package scim reads the users and groups of an app over SCIM 2.0 (RFC 7643,
// RFC 7644) and presents them as the accounts and groups of a Baton connector, and the
// roles of the users as its roles.
//
// A connector of one particular app (package fullstory, for example) makes a
// [Client] with [NewClient] and wraps it with [NewConnector]; the command
// baton-scim does the same for any app. Servers differ in every detail, so the
// package is tolerant of the form of what it reads.
//
// It must never take an incomplete listing for a complete one: what it cannot
// read to the end is an error. It must never send a secret anywhere but to the
// configured origin, nor repeat it in an error, a log or a resource. And it must
// never wait for a server that refuses or fails: it answers with the gRPC code and,
// where the server gave it, with the time after which a retry makes sense; the
// caller retries.
package scim

// Package scim is a SCIM 2.0 service (RFC 7643, RFC 7644) that imitates a
// real app: Fullstory, or any other, with as many made-up people as are wanted.
// The wire is that of a server library in wide use, github.com/elimity-com/scim;
// what is ours is the people, the bearer token, the page cap and a log of
// requests.
//
// Tests, benchmarks and the command baton-sandbox call it. A [Server] is an
// http.Handler, so that httptest.NewServer(server) is a running service whose
// SCIM base URL is the test server's URL followed by [Server.BasePath]:
//
//	server, err := scim.New(scim.Options{Accounts: 250, Seed: 1, Token: "secret"})
//	...
//	running := httptest.NewServer(server)
//	defer running.Close()
//	baseURL := running.URL + server.BasePath()
//
// [Server.Accounts] is the truth to compare a sync with: it is never read back
// from an answer. The package must never be part of what is shipped, must never
// touch real people's data, and must never drop or invent an account on its way
// to the wire. Its people are reproducible: the same options make the same
// people on every machine.
package scim

// Package c1 is a stand-in for ConductorOne's end of a connector's service mode: the
// token endpoint and the gRPC service c1.connectorapi.baton.v1.BatonService on
// one TLS listener, with a queue of tasks for each client, leases, uploads and
// faults on demand.
//
// Tests, the demo and the command baton-sandbox call it:
//
//	server, err := c1.Start(c1.Options{Dir: t.TempDir()})
//	...
//	defer server.Close()
//	credentials, err := server.AddClient("fullstory")
//	...
//	task, err := server.AddFullSync("fullstory", nil)
//	...
//	outcome, err := server.WaitFinished(ctx, task)
//
// A client reaches it by the port in its client id and trusts it by [Server.CAPEM],
// such as by the file that the variable SSL_CERT_FILE names. A call that breaks the
// protocol is refused and noted, see [Server.Violations]. What the real
// ConductorOne does is known from its clients only: a lease's length, the codes
// of its refusals and its limits are this package's choice.
//
// The package must never be part of what is shipped, must never listen on an
// address that another machine can reach, must never share code with the clients
// it checks, and must never keep an upload that is incomplete.
package c1

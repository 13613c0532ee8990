// Package prebuilt knows how a Baton connector that was built without this
// project wants to be started: what the SDK's own parent process does for its
// child, which is the only way into an unmodified connector.
//
// Package supervise calls it for such a connector: to recognize it, to read what
// it says of itself, to hand its configuration over and to reach it. It must never
// put a value of the configuration into arguments or the environment, never leave
// one on disk longer than it takes to be read, and start no process itself.
package prebuilt

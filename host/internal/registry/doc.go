// Package registry installs connectors from where they are published: it fetches a release, an
// image of an OCI registry or a downloaded archive, verifies who built it from which source
// repository, and unpacks the connector's binary into a store that hosts share.
//
// The commands that install and lock plugins call [Installer.Install] and
// [Installer.Resolve], and whoever starts a plugin finds its binary with [Store.Find]. It must
// never let a byte of what is not verified reach a path that a host would start, and never
// verify by what the network says at that moment.
//
// A call is one connector for one platform:
//
//	store, err := registry.OpenStore(dir)
//	installer := registry.Installer{Store: store, Trust: registry.DefaultTrust()}
//	installed, err := installer.Install(ctx, registry.Source{App: "github", Version: "v0.2.41"}, registry.Host())
//
// For `--locked`, set [Source.Digest] to the digest of the lock file: anything else is a
// [MovedError]. A binary that is locked and installed needs no call: Store.Find has it by the
// sum of the lock file.
package registry

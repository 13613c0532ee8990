// Package releases stands in for where connectors are published: a server of release manifests,
// archives and Sigstore bundles, a registry of images with provenance, and a Sigstore that signs
// them all.
//
// Tests call it, and have it publish programs of theirs. It must never share code with what
// verifies what it serves: manifests, bundles, certificates and entries of the logs are written
// here as their formats say.
package releases

// Package sdkfast is what makes a sync fast with baton-sdk v0.25.0 and relies on how that
// version works inside: a store between the SDK's syncer and its storage engine, a file
// read back by its rows, and pages of resources whose profiles stay encoded.
//
// Package syncfile writes and reads files with it, and package aggregate decodes pages with
// [Codec]. It must never change what a file holds: where an assumption about the SDK does
// not hold it does without, and each assumption has a test that says in a sentence what
// another version of the SDK broke.
package sdkfast

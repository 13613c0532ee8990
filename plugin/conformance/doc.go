// Package conformance is the list of what a plugin must do, each a check that tries it on
// running processes and reports in a sentence what it found.
//
// Package plugintest calls it for an author's tests, and baton-host test for any binary; they
// bring a [Subject], which knows how to start a process. A check must never change anything
// in the app, never ask more of the app than two complete listings and a few pages, and never
// put the value of a secret into a sentence.
package conformance

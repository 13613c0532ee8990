//go:build !unix

package main

// onRevive does nothing: there is no such signal here; restart the host.
func onRevive(func()) (stop func()) { return func() {} }

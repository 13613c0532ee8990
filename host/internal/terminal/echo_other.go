//go:build !linux && !darwin

package main

// hideTyping leaves it to term.ReadPassword.
func hideTyping(int) error { return nil }

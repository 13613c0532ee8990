//go:build !linux && !darwin

package terminal

// hideTyping leaves it to term.ReadPassword.
func hideTyping(int) error { return nil }

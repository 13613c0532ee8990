//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// onRevive calls revive whenever an operator sends SIGUSR1, until stop is called.
func onRevive(revive func()) (stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-signals:
				revive()
			case <-done:
				return
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		close(done)
	}
}

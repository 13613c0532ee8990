// Command baton-host runs identity connectors as plugins: it starts them, aggregates their
// accounts and writes or uploads sync files.
//
// People and schedulers run it. It must never print anything but results to standard output,
// exit with status 0 unless all of the work was done, nor start a plugin, open what an upload
// needs or talk to C1 but through package host.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host/internal/errtext"
	"github.com/batonhost/baton-host/host/internal/hostlog"
	"github.com/batonhost/baton-host/host/internal/proc"
	"github.com/batonhost/baton-host/host/internal/terminal"
)

// version is set by the build.
var version = "dev"

func main() {
	leaveNoCore()
	hideMemory()
	keepDescriptors()
	proc.ReapOrphans()
	ctx, stop := untilSignalled()
	// A reader that has gone away is an error of the write, which the command
	// reports, and no reason to leave work and plugins lying. Caught and not
	// ignored: plugins would inherit that.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)

	options := &rootOptions{usualLevel: silent}
	cmd, err := newRootCommand(options).ExecuteContextC(ctx)
	interrupted := ctx.Err() != nil
	stop()
	status := 0
	outcome, _ := errors.AsType[*outcomeError](err)
	switch {
	case err == nil:
	case outcome != nil && outcome.err == nil:
		status = outcome.status
	case errors.Is(err, errDifferent):
		status = 1
	case terminal.IsClosedOutput(err):
		status = 128 + int(syscall.SIGPIPE) // As a program ends that leaves the signal alone.
	case interrupted:
		status = 130
		options.lastLine(cmd, nil)
	default:
		status = failure(cmd, err)
		options.lastLine(cmd, err)
	}
	_ = hostlog.Stderr.Sync() // Where nothing reads, the end is all that is left.
	os.Exit(status)
}

// lastLine writes the command's last line on standard error: the error that ended it,
// or nil that it was interrupted.
func (o *rootOptions) lastLine(cmd *cobra.Command, err error) {
	_ = hostlog.Stderr.Sync() // Else a line that finds a full queue is dropped, and this one must not be.
	if o.writesJSON(cmd) {
		log := hostlog.Command(cmd.Name())
		if err == nil {
			log.Warn("interrupted; nothing was left half-written")
		} else {
			log.Error("the command failed", zap.Error(errors.New(terminal.Words(err))))
		}
		return
	}
	words := "interrupted; nothing was left half-written"
	if err != nil {
		words = sentence(err)
		if entry := errtext.RunbookEntry(terminal.Words(err)); entry != "" {
			words += "\n  see " + entry
		}
	}
	_, _ = fmt.Fprintf(hostlog.Stderr, "baton-host: %s\n", words)
}

// failure returns the exit status of a command that has failed: 2 where 1 means something
// else.
func failure(cmd *cobra.Command, err error) int {
	if _, refused := errors.AsType[*refusedError](err); refused {
		return 1
	}
	if outcome, ok := errors.AsType[*outcomeError](err); ok {
		return outcome.status
	}
	for _, name := range []string{exitCode, compareWith, planFlag} {
		if flag := cmd.Flags().Lookup(name); flag != nil && flag.Changed {
			return 2
		}
	}
	return 1
}

// untilSignalled returns a context that ends with the first signal to stop. A second
// one ends the process at once; plugins go with it, and what is left on the disk
// is removed by the next run.
func untilSignalled() (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, stopSignals()...)
	go func() {
		<-signals
		cancel()
		second := <-signals
		signal.Reset()
		if self, err := os.FindProcess(os.Getpid()); err == nil && self.Signal(second) == nil {
			time.Sleep(time.Second) // The signal is on its way.
		}
		os.Exit(1)
	}()
	return ctx, cancel
}

// stopSignals returns the signals that stop the host. SIGHUP, a terminal's farewell, is
// among them unless the host was started to survive it (nohup).
func stopSignals() []os.Signal {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}

// sentence returns the error as a person reads it: without gRPC's noise, with control
// characters that an app may have sent escaped, and several of them one to a line, the first
// one behind the program's name.
func sentence(err error) string { return errtext.Lines(terminal.Words(err)) }

package main

import (
	"context"
	"sync"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host/aggregate"
	"github.com/batonhost/baton-host/host/supervise"
)

const (
	// A plugin that does not start is started again after a pause, at the next
	// task; each pause is twice the one before.
	firstRevival = 5 * time.Second
	lastRevival  = 5 * time.Minute
)

// steady is a plugin for as long as the host runs: one that has ended is started
// again before it is used the next time.
type steady struct {
	wanted
	finder   *supervise.Finder
	logLevel string

	mu     sync.Mutex
	member *member
	next   time.Time // not before that
	pause  time.Duration
}

func newSteady(finder *supervise.Finder, logLevel string, m *member) *steady {
	s := &steady{wanted: m.wanted, finder: finder, logLevel: logLevel, member: m}
	if m.failed() {
		s.wait()
	}
	return s
}

// wait puts the next start off.
func (s *steady) wait() {
	s.pause = min(max(2*s.pause, firstRevival), lastRevival)
	s.next = time.Now().Add(s.pause)
}

// behind is the plugin as it is now. It waits for a start that is under way.
func (s *steady) behind(ctx context.Context) aggregate.Plugin {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended() && time.Now().After(s.next) && ctx.Err() == nil {
		s.restart(ctx)
	}
	return s.member.behind()
}

func (s *steady) ended() bool {
	if s.member.failed() {
		return true
	}
	select {
	case <-s.member.process.Exited():
		return true
	default:
		return false
	}
}

func (s *steady) restart(ctx context.Context) {
	log := ctxzap.Extract(ctx).With(zap.String("plugin", s.instance))
	log.Warn("the plugin is not running; starting it again")
	s.stop(ctx)
	fresh := &member{wanted: s.wanted, appName: s.member.appName}
	// Not for one task only.
	fresh.start(context.WithoutCancel(ctx), s.finder, s.logLevel)
	s.member = fresh
	if !fresh.failed() {
		s.pause = 0
		return
	}
	s.wait()
	log.Error("the plugin does not start", zap.Error(fresh.failure()), zap.Duration("pause", s.pause))
}

func (s *steady) stop(ctx context.Context) {
	if s.member.process != nil {
		s.member.process.Stop(context.WithoutCancel(ctx))
	}
}

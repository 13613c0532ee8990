package host

import (
	"context"
	"slices"

	"github.com/batonhost/baton-host/host/internal/fleet"
	"github.com/batonhost/baton-host/host/internal/pin"
	"github.com/batonhost/baton-host/host/internal/watch"
)

// watch reloads the configuration when its file or the lock file changes, and renews
// plugins when a file changes that their values come from, until stop is called. A host
// without a configuration file watches nothing.
func (s *serving) watch(ctx context.Context) (stop func()) {
	if s.cfg == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		watch.Watch(ctx, s.host.seen, s.watched, func(paths []string) bool { return s.filesChanged(ctx, paths) })
	}()
	return func() {
		cancel()
		<-ended
	}
}

// watched returns the files that are watched now.
func (s *serving) watched() []string {
	paths := watchedOf(s.host.cfg.Path)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.plugins {
		paths = append(paths, p.Files()...)
	}
	for _, upload := range s.uploads {
		paths = append(paths, upload.Files()...)
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// watchedOf returns the files of which a configuration consists.
func watchedOf(configFile string) []string {
	return []string{configFile, pin.PathFor(configFile)}
}

// filesChanged takes in that files have changed, and reports whether the host goes on with
// what they hold.
func (s *serving) filesChanged(ctx context.Context, paths []string) bool {
	isChanged := func(path string) bool { return slices.Contains(paths, path) }
	if slices.ContainsFunc(watchedOf(s.host.cfg.Path), isChanged) || s.haveEnded(isChanged) {
		if _, err := s.reload(ctx); err != nil {
			return false
		}
	}
	return s.refreshPlugins(ctx, s.referring(isChanged))
}

// haveEnded reports whether an upload is not served any more whose credentials come from one
// of the files that have changed: a reload begins it again. One that is served resolves its
// credentials for each token.
func (s *serving) haveEnded(isChanged func(path string) bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.current, func(one *served) bool {
		return one.hasEnded() && slices.ContainsFunc(one.upload.Files(), isChanged)
	})
}

// referring returns the plugins that have values from one of the files that have changed.
func (s *serving) referring(isChanged func(path string) bool) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for _, p := range s.plugins {
		if slices.ContainsFunc(p.Files(), isChanged) {
			names = append(names, p.Name)
		}
	}
	return names
}

// refreshPlugins has plugins take the newest values of their references, and reports
// whether they did. It is the one place that does so because a file has changed.
func (s *serving) refreshPlugins(ctx context.Context, names []string) bool {
	var plugins []*fleet.Plugin
	for _, p := range s.pluginsNow() {
		if slices.Contains(names, p.Name) {
			plugins = append(plugins, p)
		}
	}
	return s.running.Refresh(ctx, plugins) == nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"

	"github.com/batonhost/baton-host/host/config"
	"github.com/batonhost/baton-host/host/internal/fleet"
	"github.com/batonhost/baton-host/host/internal/syncrun"
	"github.com/batonhost/baton-host/host/lastgood"
	"github.com/batonhost/baton-host/host/syncfile"
)

// baseline is a file that the next sync of an upload is compared with.
type baseline struct {
	upload  string
	path    string
	plugins []syncrun.Plugin // that the upload has now; their names only
}

func baselineOf(one *config.Upload, dir string) baseline {
	return baselineAt(one, filepath.Join(dir, one.Name+".c1z"))
}

func baselineAt(one *config.Upload, path string) baseline {
	b := baseline{upload: one.Name, path: path}
	for _, entry := range one.Plugins {
		var plugin syncrun.Plugin
		plugin.Instance, plugin.Namespace = entry.Name, entry.Namespace
		b.plugins = append(b.plugins, plugin)
	}
	return b
}

// gone returns the plugins that the baseline knows and the upload no longer has.
// owner may be nil; see [syncrun.Gone].
func (b *baseline) gone(ctx context.Context, owner func(typeID string) string) ([]*syncrun.GoneError, error) {
	path, err := syncfile.BehindLinks(b.path)
	if err != nil {
		return nil, err
	}
	return syncrun.Gone(ctx, lastgood.At(path), os.TempDir(), b.upload, b.plugins, owner)
}

// names are the plugins that the baseline knows, as far as it can be read: a sync
// passes over one that cannot.
func (b *baseline) names(ctx context.Context) []string {
	var names []string
	if path, err := syncfile.BehindLinks(b.path); err == nil {
		for name := range lastgood.At(path).Known().Plugins {
			names = append(names, name)
		}
	}
	// Not only those that the plugins' namespaces decide on: whatever may be gone.
	gone, _ := b.gone(ctx, func(string) string { return "" })
	for _, one := range gone {
		names = append(names, one.Instance)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (b *baseline) exists() bool {
	_, err := os.Stat(b.path)
	return err == nil
}

// acceptDeletions refuses a name of which no plugin of the configuration and no baseline
// knows: nothing of it could be accepted.
func acceptDeletions(ctx context.Context, plugins []*fleet.Plugin, accept []string, baselines []baseline) error {
	var names []string
	for _, plugin := range plugins {
		names = append(names, plugin.Name)
	}
	read := false
	for _, name := range accept {
		if slices.Contains(names, name) {
			continue
		}
		if !read {
			for _, one := range baselines {
				names = append(names, one.names(ctx)...)
			}
			slices.Sort(names)
			names, read = slices.Compact(names), true
		}
		if !slices.Contains(names, name) {
			return &unknownAcceptedError{name: name, names: names}
		}
	}
	return nil
}

// unknownAcceptedError says that deletions of a plugin are accepted that neither the
// configuration nor a baseline has.
type unknownAcceptedError struct {
	name  string
	names []string
}

func (e *unknownAcceptedError) Error() string {
	return fmt.Sprintf("--accept-deletions %s: there is no such plugin in what is to be synced; there is %s", e.name, joinNames(e.names))
}

// baselinesOf are the files that syncs are about to replace.
func baselinesOf(plans []uploadPlan) []baseline {
	baselines := make([]baseline, 0, len(plans))
	for _, plan := range plans {
		baselines = append(baselines, baselineAt(plan.upload, plan.path))
	}
	return baselines
}

func setOf(names []string) map[string]bool {
	set := map[string]bool{}
	for _, name := range names {
		set[name] = true
	}
	return set
}

// checkBaselines reports what the next sync of an upload would refuse, and `run` and
// `sync` with it, as plugins are gone from the upload.
func (o *checkOptions) checkBaselines(ctx context.Context, baselines []baseline, owner func(typeID string) string) error {
	var failed []error
	for _, one := range baselines {
		gone, err := one.gone(ctx, owner)
		if err != nil {
			warn(ctx, fmt.Sprintf("upload %q: whether its last good sync has plugins that it no longer has is not known, as that sync cannot be read: %s", one.upload, err))
			continue
		}
		for _, plugin := range gone {
			if plugin.Accounts > 0 && !slices.Contains(o.accept, plugin.Instance) {
				failed = append(failed, fmt.Errorf("upload %q, compared with %s: %w", one.upload, one.path, plugin))
			}
		}
	}
	return errors.Join(failed...)
}

// baselines are the files that `run` and `sync` would compare the upload with.
func (o *checkOptions) baselines(cfg *config.Config, one *config.Upload) []baseline {
	baselines := []baseline{baselineOf(one, o.outputDir)}
	if dir, err := stateDirOf(o.stateDir, cfg.StateDir); err == nil && filepath.Clean(dir) != filepath.Clean(o.outputDir) {
		baselines = append(baselines, baselineOf(one, dir))
	}
	return baselines
}

// warnUnused warns of plugins that nothing syncs.
func warnUnused(ctx context.Context, cfg *config.Config) {
	for _, name := range cfg.Unused() {
		warn(ctx, fmt.Sprintf("%s: plugin %q is in no upload, so it is never synced; add it to the plugins of an upload, or remove its entry", cfg.Path, name))
	}
}

// acceptForService is acceptDeletions for a service, whose command line outlives what
// it was written for: where there is a baseline, a name in neither may be that of a
// plugin whose deletions have been let through, and must not keep the host from
// starting again. A name that is wrong lets nothing through.
func acceptForService(ctx context.Context, plugins []*fleet.Plugin, accept []string, baselines []baseline) error {
	var failed []error
	for _, name := range accept {
		err := acceptDeletions(ctx, plugins, []string{name}, baselines)
		if err != nil && slices.ContainsFunc(baselines, func(b baseline) bool { return b.exists() }) {
			ctxzap.Extract(ctx).Warn(err.Error() + "; take it out of the command line if they have been let through")
			continue
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

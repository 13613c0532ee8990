package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"

	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/files"
	"github.com/batonhost/baton-host/host/internal/fleet"
	"github.com/batonhost/baton-host/host/internal/review"
	"github.com/batonhost/baton-host/host/internal/state"
	"github.com/batonhost/baton-host/host/internal/syncfile"
	"github.com/batonhost/baton-host/host/internal/syncrun"
)

// baselineFile is a baseline that the next sync of an upload is compared with.
type baselineFile struct {
	upload  string
	path    string           // as an operator finds it
	plugins []syncrun.Plugin // that the upload has now; their names only
	place   state.Place      // nil: it is the file at path
}

// baselineIn returns the baseline of an upload in a directory.
func baselineIn(dir string, upload *config.Upload) baselineFile {
	return baselineAt(filepath.Join(dir, upload.Name+".c1z"), upload)
}

func baselineAt(path string, upload *config.Upload) baselineFile {
	b := baselineFile{upload: upload.Name, path: path}
	for _, entry := range upload.Plugins {
		var plugin syncrun.Plugin
		plugin.Instance, plugin.Namespace = entry.Name, entry.Namespace
		b.plugins = append(b.plugins, plugin)
	}
	return b
}

// baselineOf returns the baseline of an upload that the service keeps, alone or with other hosts.
func (h *Host) baselineOf(places *state.Places, upload *config.Upload) baselineFile {
	if !h.isShared() {
		return baselineIn(places.Dir(), upload)
	}
	b := baselineAt(h.sharedLocation(), upload)
	b.place = places.Of(upload)
	return b
}

// read calls read with what is kept of the upload.
func (b *baselineFile) read(ctx context.Context, read func(state.View) error) error {
	place := b.place
	if place == nil {
		path, err := syncfile.BehindLinks(b.path)
		if err != nil {
			return err
		}
		place = state.At(path)
	}
	return place.Read(ctx, read)
}

// gone returns the plugins that the baseline knows and the upload no longer has.
// owner may be nil; see [syncrun.Gone].
func (b *baselineFile) gone(ctx context.Context, owner func(typeID string) string) (gone []*syncrun.GoneError, err error) {
	err = b.read(ctx, func(view state.View) error {
		gone, err = syncrun.Gone(ctx, view.Baseline, os.TempDir(), b.upload, b.plugins, owner)
		return err
	})
	return gone, err
}

// names returns the plugins that the baseline knows, as far as it can be read: a sync
// passes over one that cannot.
func (b *baselineFile) names(ctx context.Context) []string {
	var names []string
	_ = b.read(ctx, func(view state.View) error {
		for name := range view.Baseline.Known().Plugins {
			names = append(names, name)
		}
		return nil
	})
	// Not only those that the plugins' namespaces decide on: whatever may be gone.
	gone, _ := b.gone(ctx, func(string) string { return "" })
	for _, one := range gone {
		names = append(names, one.Instance)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// checkForms refuses baselines that a newer host has written: they could be neither used
// nor replaced.
func checkForms(ctx context.Context, baselines []baselineFile) error {
	var failed []error
	for _, one := range baselines {
		err := one.read(ctx, func(view state.View) error { return view.Baseline.Check() })
		if one.place != nil && !files.IsNewer(err) {
			err = nil // A sync finds it out, once more.
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

// isApproved says that what a sync would take away of a plugin has been reviewed and approved.
// Whether it is still no more than that is for the sync to find out.
func (b *baselineFile) isApproved(ctx context.Context, plugin string) bool {
	approved := false
	err := b.read(ctx, func(view state.View) error {
		approval, err := view.Review.Approval()
		approved = err == nil && approval.Of(plugin) != nil
		return err
	})
	return err == nil && approved
}

func (b *baselineFile) exists(ctx context.Context) bool {
	exists := false
	err := b.read(ctx, func(view state.View) error {
		exists = view.Baseline.Exists()
		return nil
	})
	return err == nil && exists
}

// checkAccepted refuses a name whose deletions are accepted and which is neither one of
// the plugins nor known to a baseline: nothing of it could be deleted.
func (h *Host) checkAccepted(ctx context.Context, plugins []*fleet.Plugin, baselines []baselineFile) error {
	for _, name := range h.options.AcceptDeletions {
		if err := checkAcceptedName(ctx, name, plugins, baselines); err != nil {
			return err
		}
	}
	return nil
}

// checkAcceptedForService is checkAccepted for a service, whose command line outlives
// what it was written for: where there is a baseline, a name in neither may be that of a
// plugin whose deletions are through, and must not keep the host from starting again. A
// name that is wrong lets nothing through.
func (h *Host) checkAcceptedForService(ctx context.Context, plugins []*fleet.Plugin, baselines []baselineFile) error {
	var failed []error
	for _, name := range h.options.AcceptDeletions {
		err := checkAcceptedName(ctx, name, plugins, baselines)
		if err != nil && slices.ContainsFunc(baselines, func(b baselineFile) bool { return b.exists(ctx) }) {
			h.warn(ctx, err.Error()+"; take it out of the command line if they have been let through")
			continue
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

func checkAcceptedName(ctx context.Context, name string, plugins []*fleet.Plugin, baselines []baselineFile) error {
	var names []string
	for _, p := range plugins {
		names = append(names, p.Name)
	}
	if slices.Contains(names, name) {
		return nil
	}
	for _, one := range baselines {
		names = append(names, one.names(ctx)...)
	}
	slices.Sort(names)
	if names = slices.Compact(names); slices.Contains(names, name) {
		return nil
	}
	return fmt.Errorf("--accept-deletions %s: there is no such plugin in what is to be synced; there is %s", name, strings.Join(names, ", "))
}

// bindAccepted approves what --accept-deletions accepts of the refused sync of an upload
// that is kept, as that alone has been seen, and returns the plugins of which none is kept.
func (h *Host) bindAccepted(ctx context.Context, refused *review.Store) (map[string]bool, error) {
	set := map[string]bool{}
	for _, name := range h.options.AcceptDeletions {
		set[name] = true
	}
	approved, err := refused.Accept(ctx, h.options.AcceptDeletions, review.ByFlag())
	if err != nil {
		return nil, fmt.Errorf("what --accept-deletions accepts of the refused sync that is kept cannot be approved: %w", err)
	}
	for _, one := range approved {
		delete(set, one.Plugin)
		ctxzap.Extract(ctx).Info("approved", zap.String("plugin", one.Plugin), zap.String("id", one.ID), zap.String("by", one.By), zap.Int("approved", one.Keys))
	}
	return set, nil
}

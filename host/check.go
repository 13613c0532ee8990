package host

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/internal/aggregate"
	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/fleet"
)

// CheckOptions are what is checked.
type CheckOptions struct {
	// Timeout is how long an app may take to answer.
	Timeout time.Duration
	// OutputDir is where [Host.Sync] puts its files.
	OutputDir string
}

// CheckedPlugin is how one plugin was found.
type CheckedPlugin struct {
	Name, App string
	Err       error // nil: it has started, and its credentials are valid
}

// Check starts and configures every plugin and lets each try its credentials on its app.
// It also compares the uploads with the baselines of Serve and Sync: an upload that no
// longer has a plugin of them would be refused. The error joins everything that is
// wrong.
func (h *Host) Check(ctx context.Context, options CheckOptions) ([]CheckedPlugin, error) {
	var baselines []baselineFile
	for _, upload := range h.uploads {
		baselines = append(baselines, h.baselines(upload, options.OutputDir)...)
	}
	if err := h.checkAccepted(ctx, h.plugins, baselines); err != nil {
		return nil, err
	}
	if err := h.prepare(ctx, h.plugins); err != nil {
		return nil, err
	}
	running := h.start(ctx, h.plugins, false, nil)
	defer running.Stop(ctx)
	if err := fleet.Await(ctx, h.plugins); err != nil {
		return nil, err
	}
	running.Validate(ctx, options.Timeout)
	var failed []error
	checked := make([]CheckedPlugin, 0, len(h.plugins))
	for _, p := range h.plugins {
		checked = append(checked, CheckedPlugin{Name: p.Name, App: p.App, Err: p.Failure()})
		failed = append(failed, p.Failure())
	}
	for _, upload := range h.uploads {
		owner, err := checkUpload(ctx, running.Of(upload), upload)
		failed = append(failed, err, h.checkBaselines(ctx, h.baselines(upload, options.OutputDir), owner))
	}
	return checked, errors.Join(failed...)
}

// checkUpload looks for resource types that two plugins of an upload share. An upload
// with a plugin that has failed is left alone: that was reported. It returns which
// plugin has a resource type, if that is known.
func checkUpload(ctx context.Context, plugins []*fleet.Plugin, upload *config.Upload) (owner func(typeID string) string, err error) {
	if slices.ContainsFunc(plugins, func(p *fleet.Plugin) bool { return p.Failure() != nil }) {
		return nil, nil
	}
	many, err := aggregate.New(fleet.Aggregate(ctx, plugins, upload))
	if err == nil {
		defer many.Close()
		_, err = many.Client(ctx).ListResourceTypes(ctx, &connectorv2.ResourceTypesServiceListResourceTypesRequest{})
	}
	if err != nil {
		return nil, fmt.Errorf("upload %q: %s", upload.Name, status.Convert(err).Message())
	}
	return many.Owner, nil
}

// checkBaselines reports what the next sync of an upload would refuse, as plugins are
// gone from the upload.
func (h *Host) checkBaselines(ctx context.Context, baselines []baselineFile, owner func(typeID string) string) error {
	var failed []error
	for _, one := range baselines {
		gone, err := one.gone(ctx, owner)
		if err != nil {
			h.warn(ctx, fmt.Sprintf("upload %q: whether its baseline has plugins that it no longer has is not known, as the baseline cannot be read: %s", one.upload, err))
			continue
		}
		for _, plugin := range gone {
			if plugin.Accounts > 0 && !slices.Contains(h.options.AcceptDeletions, plugin.Instance) && !one.isApproved(plugin.Instance) {
				failed = append(failed, fmt.Errorf("upload %q, compared with %s: %w", one.upload, one.path, plugin))
			}
		}
	}
	return errors.Join(failed...)
}

// baselines returns the files that Serve and Sync would compare the upload with.
func (h *Host) baselines(upload *config.Upload, outputDir string) []baselineFile {
	baselines := []baselineFile{baselineIn(outputDir, upload)}
	if dir, err := h.stateDir(); err == nil && filepath.Clean(dir) != filepath.Clean(outputDir) {
		baselines = append(baselines, baselineIn(dir, upload))
	}
	return baselines
}

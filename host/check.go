package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/internal/aggregate"
	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/fleet"
	"github.com/batonhost/baton-host/host/internal/proc/sandbox"
	"github.com/batonhost/baton-host/host/internal/secret"
	"github.com/batonhost/baton-host/host/internal/service"
)

// CheckOptions are what is checked.
type CheckOptions struct {
	// Timeout is how long an app, C1 or a store of secrets may take to answer.
	Timeout time.Duration
	// OutputDir is where [Host.Sync] puts its files.
	OutputDir string
	// Notify sends a test to the webhook of the configuration.
	Notify bool
}

// Kinds of what is checked.
const (
	CheckedPlugin  = "plugin"
	CheckedUpload  = "upload"
	CheckedStore   = "store"
	CheckedWebhook = "webhook"
)

// Checked is how a plugin, the credentials of an upload, a store of secrets or the webhook was
// found.
type Checked struct {
	// Kind is CheckedPlugin, CheckedUpload, CheckedStore or CheckedWebhook.
	Kind, Name string
	App        string // of a plugin
	// Sandbox is what of a sandbox a plugin is in; empty of one that is attached to.
	Sandbox string
	// Skipped is why it was not checked; empty: it was.
	Skipped string
	Err     error // nil: it works
}

// Check tries what Serve needs: it starts and configures every plugin and has each try its
// credentials on its app and read the beginning of each of its lists, fetches a token from C1
// for each upload that has credentials, compares the clocks, logs in to the stores of
// secrets, and resolves the webhook. It also compares the uploads with the baselines of Serve and Sync: an upload that
// no longer has a plugin of them would be refused. Of a host that was opened for one upload
// it tries what that one needs. The error joins everything that is wrong.
func (h *Host) Check(ctx context.Context, options CheckOptions) ([]Checked, error) {
	if err := h.checkShared(ctx); err != nil {
		return nil, err
	}
	var baselines []baselineFile
	for _, upload := range h.uploads {
		baselines = append(baselines, h.baselines(upload, options.OutputDir)...)
	}
	plugins := h.plugins
	if h.selected {
		plugins = h.needed(h.uploads)
	}
	if err := h.checkAccepted(ctx, plugins, baselines); err != nil {
		return nil, err
	}
	if err := h.prepare(ctx, plugins); err != nil {
		return nil, err
	}
	warner := h.expiryWarner(ctx)
	for _, upload := range h.uploads {
		warner.Credentials("", upload.Name, upload.Credentials())
	}
	running := h.start(ctx, plugins, false, warner)
	defer running.Stop(ctx)
	var uploads, stores, webhook []Checked
	var beside sync.WaitGroup
	beside.Go(func() { uploads = h.checkCredentials(ctx, options.Timeout) })
	beside.Go(func() { stores = h.checkStores(ctx, plugins, options.Timeout) })
	beside.Go(func() { webhook = h.checkWebhook(ctx, options) })
	err := fleet.Await(ctx, plugins)
	if err == nil {
		running.Validate(ctx, options.Timeout)
	}
	beside.Wait()
	if err != nil {
		return nil, err
	}
	checked := make([]Checked, 0, len(plugins))
	var exposing []string
	for _, p := range plugins {
		state := p.SandboxState()
		checked = append(checked, Checked{Kind: CheckedPlugin, Name: p.Name, App: p.App, Sandbox: state.String(), Err: p.Failure()})
		if state.Exposes {
			exposing = append(exposing, p.Name)
		}
	}
	if exposure := sandbox.DescribeExposure(exposing); exposure != "" {
		h.warn(ctx, exposure)
	}
	checked = slices.Concat(checked, uploads, stores, webhook)
	var failed []error
	for _, one := range checked {
		failed = append(failed, one.Err)
	}
	for _, upload := range h.uploads {
		owner, err := checkUpload(ctx, running.Of(upload), upload)
		failed = append(failed, err, h.checkBaselines(ctx, h.baselines(upload, options.OutputDir), owner))
	}
	return checked, errors.Join(failed...)
}

// checkShared opens the state that hosts share, if they do.
func (h *Host) checkShared(ctx context.Context) error {
	if !h.isShared() {
		return nil
	}
	places, err := h.places()
	if err != nil {
		return err
	}
	return places.Check(ctx)
}

// checkCredentials fetches a token from C1 for each upload.
func (h *Host) checkCredentials(ctx context.Context, timeout time.Duration) []Checked {
	checked := make([]Checked, len(h.uploads))
	var checking sync.WaitGroup
	for i, upload := range h.uploads {
		checked[i] = Checked{Kind: CheckedUpload, Name: upload.Name}
		if !upload.HasCredentials() && len(h.uploads) == 1 && os.Getenv(clientIDVariable) != "" {
			if err := takeCredentials(h.uploads); err != nil {
				checked[i].Err = err
				continue
			}
		}
		if upload.ClientID == "" && !upload.HasCredentials() {
			checked[i].Skipped = "no client-id"
			continue
		}
		checking.Go(func() { checked[i].Err = h.checkC1(ctx, upload, timeout) })
	}
	checking.Wait()
	return checked
}

func (h *Host) checkC1(ctx context.Context, upload *config.Upload, timeout time.Duration) error {
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if upload.ClientID == "" {
		resolved, problems := upload.Resolve(limited, h.cfg.Round())
		if len(problems) > 0 {
			return fmt.Errorf("upload %q: %w", upload.Name, problems)
		}
		upload = resolved
	}
	skew, err := service.Check(limited, upload, h.options.Version)
	if _, isRefused := errors.AsType[*service.RefusedError](err); isRefused {
		return err
	} else if err != nil {
		return fmt.Errorf("upload %q: %w", upload.Name, err)
	}
	if skew.Abs() >= service.SuspectSkew {
		h.warn(ctx, fmt.Sprintf("upload %q: %s; from %s on it is an error, so set the clock, by NTP for example", upload.Name, service.SkewWords(skew), service.MostSkew))
	}
	return nil
}

// checkStores logs in to each store of secrets that has a login. A store fails too where it
// did not resolve a reference when the host was opened.
func (h *Host) checkStores(ctx context.Context, plugins []*fleet.Plugin, timeout time.Duration) []Checked {
	if h.cfg == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	tried := h.cfg.TryStores(ctx)
	var checked []Checked
	for _, name := range h.cfg.Stores() {
		users := h.usersOf(name, plugins)
		err, hasLogin := tried[name]
		if err == nil {
			err = h.unresolvedBy(name)
		}
		if h.selected && users == nil {
			continue
		}
		one := Checked{Kind: CheckedStore, Name: name}
		switch {
		case err != nil && users != nil:
			one.Err = fmt.Errorf("store %q, which %s needs: %w", name, strings.Join(users, " and "), err)
		case err != nil:
			one.Err = fmt.Errorf("store %q, which nothing refers to: %w", name, err)
		case !hasLogin && users == nil:
			one.Skipped = "nothing refers to it"
		}
		checked = append(checked, one)
	}
	return checked
}

// unresolvedBy returns why references to a store were not resolved; nil if all were.
func (h *Host) unresolvedBy(store string) error {
	var failed []error
	for _, problem := range h.cfg.Unresolved() {
		err := errors.New(problem.Message)
		if strings.HasPrefix(problem.Reference, "${"+store+":") && !slices.ContainsFunc(failed, func(other error) bool { return other.Error() == problem.Message }) {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// usersOf returns what refers to a store, in words.
func (h *Host) usersOf(store string, plugins []*fleet.Plugin) (users []string) {
	has := func(references []secret.Reference) bool {
		return slices.ContainsFunc(references, func(one secret.Reference) bool { return one.Scheme == store })
	}
	for _, p := range plugins {
		if has(p.Settings.References()) {
			users = append(users, fmt.Sprintf("plugin %q", p.Name))
		}
	}
	for _, upload := range h.uploads {
		if has(upload.References()) {
			users = append(users, fmt.Sprintf("upload %q", upload.Name))
		}
	}
	if has(h.cfg.Notify.References()) {
		users = append(users, "the webhook")
	}
	return users
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
			if plugin.Accounts > 0 && !slices.Contains(h.options.AcceptDeletions, plugin.Instance) && !one.isApproved(ctx, plugin.Instance) {
				failed = append(failed, fmt.Errorf("upload %q, compared with %s: %w", one.upload, one.path, plugin))
			}
		}
	}
	return errors.Join(failed...)
}

// baselines returns the files that Serve and Sync would compare the upload with.
func (h *Host) baselines(upload *config.Upload, outputDir string) []baselineFile {
	baselines := []baselineFile{baselineIn(outputDir, upload)}
	if h.isShared() {
		if places, err := h.places(); err == nil { // Check has opened them.
			baselines = append(baselines, h.baselineOf(places, upload))
		}
		return baselines
	}
	if dir, err := h.stateDir(); err == nil && filepath.Clean(dir) != filepath.Clean(outputDir) {
		baselines = append(baselines, baselineIn(dir, upload))
	}
	return baselines
}

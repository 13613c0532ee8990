package fleet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/connectorstore"
	"github.com/conductorone/baton-sdk/pkg/dotc1z"

	"github.com/batonhost/baton-host/host/internal/broker"
	"github.com/batonhost/baton-host/host/internal/files"
)

// readBeginnings reads the resource types and the first page of each type, as a sync begins:
// Validate of a connector may try the accounts only, and who may read these may not be
// allowed to read groups. Connectors find a session store, as in a sync, so that every
// failure is one that a sync has too. listing is what failed, to be put before the error.
func (p *Plugin) readBeginnings(ctx context.Context, sessions *broker.Stores) (listing string, err error) {
	trial, err := p.beginTrial(ctx, sessions)
	if err != nil {
		return "making a sync file to try it: ", err
	}
	defer func() {
		if ended := trial.end(ctx); err == nil && ended != nil {
			listing, err = "removing the sync file of the trial: ", ended
		}
	}()
	types := connectorv2.NewResourceTypesServiceClient(p.running.Conn())
	resources := connectorv2.NewResourcesServiceClient(p.running.Conn())
	for token := ""; ; {
		page, err := types.ListResourceTypes(ctx, connectorv2.ResourceTypesServiceListResourceTypesRequest_builder{
			PageToken: token, ActiveSyncId: trial.id,
		}.Build())
		if err != nil {
			return "listing resource types: ", err
		}
		for _, one := range page.GetList() {
			if _, err := resources.ListResources(ctx, connectorv2.ResourcesServiceListResourcesRequest_builder{
				ResourceTypeId: one.GetId(), ActiveSyncId: trial.id,
			}.Build()); err != nil {
				return fmt.Sprintf("listing resources of type %q: ", one.GetId()), err
			}
		}
		if token = page.GetNextPageToken(); token == "" {
			return "", nil
		}
	}
}

// trial is a sync that is not kept: its file has what the connector notes, and nothing else.
type trial struct {
	id      string
	dir     *files.Dir
	store   interface{ Close(context.Context) error }
	session *broker.Sync
}

// trialPrefix begins the names of the directories of trials.
const trialPrefix = "baton-host-check-"

// beginTrial begins a sync in a temporary directory.
func (p *Plugin) beginTrial(ctx context.Context, sessions *broker.Stores) (*trial, error) {
	files.Sweep(os.TempDir(), trialPrefix)
	dir, err := files.Make(os.TempDir(), trialPrefix)
	if err != nil {
		return nil, err
	}
	store, err := dotc1z.NewStore(ctx, filepath.Join(dir.Path(), "sync.c1z"), dotc1z.WithTmpDir(dir.Path()))
	if err != nil {
		return nil, errors.Join(err, dir.Remove())
	}
	began := &trial{dir: dir, store: store, session: sessions.Begin()}
	if began.id, err = store.StartNewSync(ctx, connectorstore.SyncTypeFull, ""); err != nil {
		return nil, errors.Join(err, began.end(ctx))
	}
	began.session.SetSessionStore(ctx, store.SessionStore())
	began.session.Join(p.Name, began.id)
	return began, nil
}

// end removes what the connector has noted. No call of it comes to the file any more.
func (t *trial) end(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	t.session.SetSessionStore(ctx, nil)
	return errors.Join(t.store.Close(ctx), t.dir.Remove())
}

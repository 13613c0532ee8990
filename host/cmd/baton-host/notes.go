package main

import (
	"context"

	"github.com/batonhost/baton-host/host/supervise"
	"github.com/batonhost/baton-host/plugin/conformance"
)

// openNotes makes a session store for a plugin that takes part in no sync: it is
// empty, and gone when close is called, after the plugin has stopped.
func openNotes(ctx context.Context) (notes *conformance.Sessions, closeNotes func(), err error) {
	dir, err := supervise.MakeScratch()
	if err != nil {
		return nil, nil, err
	}
	notes, err = conformance.OpenSessions(ctx, dir.Path())
	if err != nil {
		_ = dir.Remove()
		return nil, nil, err
	}
	return notes, func() {
		_ = notes.Close(context.WithoutCancel(ctx))
		_ = dir.Remove()
	}, nil
}

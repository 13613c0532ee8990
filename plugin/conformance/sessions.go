package conformance

import (
	"context"
	"fmt"
	"path/filepath"

	v1 "github.com/conductorone/baton-sdk/pb/c1/connectorapi/baton/v1"
	"github.com/conductorone/baton-sdk/pkg/dotc1z"
	"github.com/conductorone/baton-sdk/pkg/dotc1z/c1zstore"
	sdk "github.com/conductorone/baton-sdk/pkg/session"
)

// Sessions is the session store of the syncs that the checks make, as a sync file
// has it. A Subject is to serve it to each of its processes.
type Sessions struct {
	v1.BatonSessionServiceServer
	file c1zstore.Store
}

// OpenSessions makes a session store in an empty directory of the caller's, who
// removes it afterwards.
func OpenSessions(ctx context.Context, dir string) (*Sessions, error) {
	file, err := dotc1z.NewStore(ctx, filepath.Join(dir, "sessions.c1z"), dotc1z.WithTmpDir(dir))
	if err != nil {
		return nil, fmt.Errorf("make a session store for the plugin: %w", err)
	}
	server := sdk.NewGRPCSessionServer()
	server.SetSessionStore(ctx, file.SessionStore())
	return &Sessions{server, file}, nil
}

// Close closes the store. No process may be running any more.
func (s *Sessions) Close(ctx context.Context) error {
	if err := s.file.Close(ctx); err != nil {
		return fmt.Errorf("close the session store: %w", err)
	}
	return nil
}

package plugin

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/conductorone/baton-sdk/pkg/cli"
	"github.com/conductorone/baton-sdk/pkg/config"
	"github.com/conductorone/baton-sdk/pkg/connectorrunner"
	"github.com/conductorone/baton-sdk/pkg/dotc1z"
	"github.com/conductorone/baton-sdk/pkg/field"
	"github.com/conductorone/baton-sdk/pkg/types"
	"github.com/spf13/viper"
)

// otherWork are the SDK's flags that make a run something else than a sync.
var otherWork = []string{
	"client-id", "grant-entitlement", "revoke-grant", "event-feed", "create-account-profile", "create-account-login",
	"invoke-action", "list-action-schemas", "delete-resource", "rotate-credentials", "create-ticket",
	"bulk-create-ticket", "list-ticket-schemas", "get-ticket", "diff-syncs", "compact-syncs",
}

// oneShotSync returns the settings of the SDK's command line if it is about to
// sync once into a file, or nil for everything else that it does, a wrong
// command line among it.
func oneShotSync[T field.Configurable](
	ctx context.Context,
	connectorName string,
	schema field.Configuration,
	args []string,
	options ...connectorrunner.Option,
) *viper.Viper {
	never := func(context.Context, T, cli.RunTimeOpts) (types.ConnectorServer, error) {
		return nil, errors.New("this command line is only looked at")
	}
	settings, command, err := config.DefineConfigurationV2(ctx, connectorName, never, schema, options...)
	if err != nil {
		return nil
	}
	chosen, rest, err := command.Find(args)
	if err != nil || chosen != command || command.ParseFlags(rest) != nil || settings.BindPFlags(command.Flags()) != nil {
		return nil
	}
	isOther := func(flag string) bool {
		value := settings.GetString(flag)
		return value != "" && value != "false"
	}
	if settings.GetString("file") == "" || slices.ContainsFunc(otherWork, isOther) {
		return nil
	}
	return settings
}

// holdsSyncSince says that the file holds a sync that was finished at that time
// or later.
func holdsSyncSince(ctx context.Context, path string, start time.Time) bool {
	store, err := dotc1z.NewStore(ctx, path, dotc1z.WithReadOnly(true))
	if err != nil {
		return false
	}
	defer func() { _ = store.Close(ctx) }()
	latest, err := store.SyncMeta().LatestFinishedSyncOfAnyType(ctx)
	return err == nil && latest != nil && latest.EndedAt != nil && !latest.EndedAt.Before(start)
}

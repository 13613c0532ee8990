package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/spf13/cobra"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/config"
	"github.com/batonhost/baton-host/host/supervise"
)

// validateTimeout bounds one plugin's look at its app. The SDK's builder tries
// an app that is away five times itself, within about fifteen seconds.
const validateTimeout = time.Minute

func newCheckCommand(root *rootOptions) *cobra.Command {
	var configFile string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Try the configuration: every plugin, every credential",
		Long: `Read the configuration, start and configure every plugin in it and let each try
its credentials on its app. All problems are reported together; the exit status
is 1 if there is one. Nothing is synced.`,
		Example: `  baton-host check --config baton-host.yaml`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return check(cmd.Context(), cmd.OutOrStdout(), root, configFile)
		},
	}
	cmd.Flags().StringVarP(&configFile, "config", "c", defaultConfigFile, "the configuration file")
	return cmd
}

func check(ctx context.Context, stdout io.Writer, root *rootOptions, configFile string) error {
	cfg, err := config.Load(ctx, configFile)
	if err != nil {
		return err
	}
	var plugins []wanted
	for _, plugin := range cfg.Plugins {
		plugins = append(plugins, wantedOf(plugin))
	}
	fleet := startFleet(ctx, supervise.NewFinder(slices.Concat(root.pluginDirs, cfg.PluginDirs)), plugins, root.pluginLogLevel())
	defer fleet.stop(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}

	fleet.validate(ctx)
	var failed []error
	rows := make([][]string, 0, len(fleet.members))
	for _, m := range fleet.members {
		outcome := "ok"
		if m.failed() {
			outcome = "FAILED"
		}
		rows = append(rows, []string{m.instance, m.app, outcome})
		failed = append(failed, m.problems.Err(), m.err)
	}
	for _, upload := range cfg.Uploads {
		failed = append(failed, fleet.checkUpload(ctx, upload))
	}
	if err := writeTable(stdout, []string{"PLUGIN", "APP", "RESULT"}, rows); err != nil {
		failed = append(failed, fmt.Errorf("the results could not be written to standard output: %w", err))
	}
	return errors.Join(failed...)
}

// validate lets every plugin that is ready try its credentials, all at once.
func (f *fleet) validate(ctx context.Context) {
	var validating sync.WaitGroup
	for _, m := range f.members {
		if m.failed() {
			continue
		}
		validating.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, validateTimeout)
			defer cancel()
			_, err := connectorv2.NewConnectorServiceClient(m.process.Conn()).Validate(ctx, &connectorv2.ConnectorServiceValidateRequest{})
			if err != nil {
				m.err = fmt.Errorf("plugin %q: %s", m.instance, status.Convert(err).Message())
			}
		})
	}
	validating.Wait()
}

// checkUpload looks for resource types that two plugins of an upload share. An
// upload with a plugin that has failed is left alone: that was reported.
func (f *fleet) checkUpload(ctx context.Context, upload *config.Upload) error {
	var instances []string
	for _, plugin := range upload.Plugins {
		instances = append(instances, plugin.Name)
	}
	members := f.named(instances)
	if slices.ContainsFunc(members, (*member).failed) {
		return nil
	}
	many, err := aggregated(members)
	if err == nil {
		_, err = many.Client(ctx).ListResourceTypes(ctx, &connectorv2.ResourceTypesServiceListResourceTypesRequest{})
	}
	if err != nil {
		return fmt.Errorf("upload %q: %s", upload.Name, status.Convert(err).Message())
	}
	return nil
}

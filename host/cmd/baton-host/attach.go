package main

import (
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/batonhost/baton-host/host/config"
	"github.com/batonhost/baton-host/host/supervise"
	"github.com/batonhost/baton-host/plugin"
)

// attachDebugged marks the plugins that run already, in somebody's debugger, and
// are to be attached to (BATON_HOST_REATTACH). A name there is that of an
// instance, else that of an app that one instance alone has. Those of other
// plugins of the configuration, if there is one, are left alone.
func attachDebugged(cfg *config.Config, plugins []wanted) error {
	attachments, err := supervise.Attachments(os.Getenv(plugin.ReattachEnv))
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(attachments)) {
		found, err := meant(name, plugins)
		if err != nil {
			return err
		}
		if found == nil {
			if elsewhere(name, cfg) {
				continue
			}
			var instances []string
			for _, one := range plugins {
				instances = append(instances, one.instance)
			}
			return fmt.Errorf("%s names the plugin %q, which is none of %s; give it the name of an instance or an app, or unset the variable",
				plugin.ReattachEnv, name, joinNames(instances))
		}
		attachment := attachments[name]
		found.attach = &attachment
		warnAttached(found.instance, attachment)
	}
	return nil
}

// meant is the plugin of that instance name or else of that app, nil if there is
// none.
func meant(name string, plugins []wanted) (*wanted, error) {
	var found *wanted
	for i, one := range plugins {
		switch {
		case one.instance == name:
			return &plugins[i], nil
		case !isApp(name, one.app):
		case found != nil:
			return nil, fmt.Errorf("%s names the app %q, which %s and %s have; write the name of the one that is meant in its place",
				plugin.ReattachEnv, name, found.instance, one.instance)
		default:
			found = &plugins[i]
		}
	}
	return found, nil
}

// elsewhere says that the configuration has such a plugin, which this command does
// not need.
func elsewhere(name string, cfg *config.Config) bool {
	return cfg != nil && slices.ContainsFunc(cfg.Plugins, func(one *config.Plugin) bool {
		return one.Name == name || isApp(name, one.App)
	})
}

// isApp says that a name is that of an app, or of its binary.
func isApp(name, app string) bool { return name == app || name == "baton-"+app }

// warnAttached says loudly what is no way to run in production, also where
// nothing is logged.
func warnAttached(instance string, attachment plugin.Attachment) {
	fmt.Fprintf(os.Stderr, "warning: plugin %q is attached to (process %d), not started (%s): it is not verified, not limited and not started again; for development only\n",
		instance, attachment.PID, plugin.ReattachEnv)
}

package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Fingerprint returns what an upload is configured with, by key, as hashes by which two hosts
// find out whether they have the same. No secret is in it, and nothing that may differ from
// machine to machine: paths, references, limits.
func (u *Upload) Fingerprint() map[string]string {
	prints := map[string]string{}
	add := func(key string, value any) {
		sum := sha256.Sum256([]byte(key + "\x00" + fmt.Sprintf("%q", fmt.Sprint(value))))
		prints[key] = hex.EncodeToString(sum[:8])
	}
	var names []string
	for _, p := range u.Plugins {
		names = append(names, p.Name)
		of := func(key string) string { return NamePlugins + "." + p.Name + "." + key }
		add(of(NameApp), p.App)
		add(of("namespace"), p.Namespace)
		add(of(NameVersion), p.Version+" "+p.Image)
		add(of("provisioning"), p.Provisioning)
		add(of("require-evidence"), p.RequireEvidence)
		add(of(nameChangeGuard), p.ChangeGuard)
		plain := p.Settings.Plain()
		add(of(NameConfig), strings.Join(slices.Sorted(maps.Keys(plain)), " "))
		for key, value := range plain {
			if value != "" {
				add(of(NameConfig+"."+key), value)
			}
		}
	}
	add(NameUploadPlugins, strings.Join(names, " "))
	add("on-plugin-failure", u.LastGood)
	add("max-stale", u.MaxStale)
	add("new-plugin", u.NewPlugin)
	if u.ClientID != "" { // Until it can be resolved, it is not known.
		add(NameClientID, u.ClientID)
	}
	return prints
}

package main

import (
	"regexp"
	"strings"
)

// entry is a kind of error: a heading of docs/runbook.md and what belongs below it.
type entry struct {
	// title is the heading.
	title string
	// paths are the directories and files whose sentences it has; the longest one that fits
	// a file decides.
	paths string
	// sentences finds those that it has wherever they are; the first entry that finds one has
	// it.
	sentences *regexp.Regexp
	// complete says that its sentences name all that is to be done, so no error leads to it.
	complete bool
}

func having(sentences string) *regexp.Regexp { return regexp.MustCompile(sentences) }

// quiet are the files whose texts are pages, questions and results of commands: only their
// errors and alarms are sentences.
var quiet = strings.Fields(`
	host/internal/config/table.go host/internal/config/schema host/internal/config/wizard
	host/internal/config/syntax.go host/internal/status/page host/internal/registry/verify.go
	host/internal/hostlog/core.go host/internal/status/listen host/internal/proc/sandbox/observer.go
	host/internal/proc/sandbox/observing_linux.go host/internal/proc/sandbox/watch_linux.go
	host/cmd/baton-host/call.go host/cmd/baton-host/complete.go host/cmd/baton-host/init.go host/cmd/baton-host/inspect.go
	host/cmd/baton-host/accounts.go host/cmd/baton-host/diff.go host/cmd/baton-host/plugins.go
	host/cmd/baton-host/status.go host/cmd/baton-host/test.go host/cmd/baton-host/review.go host/cmd/baton-host/arguments.go
	host/internal/support host/internal/explore host/internal/pin/lock.go host/internal/diff host/internal/population
	host/internal/aggregate/errors.go host/internal/fleet/beginnings.go host/internal/review/difference.go
	scim/config fullstory scim/nested.go scim/extension.go scim/mediatype.go
	plugin/announce.go plugin/client.go plugin/clientsessions.go
`)

// exceptions are the sentences of quiet files that are reported without being made an error
// where they stand.
var exceptions = having(`^(its? (certificate|signature|entry|provenance|signer)|what (the transparency log|is signed)|when it was signed|the signature |a tab |inside |a value |a ":" |this (is|does) not|a (list|mapping) in|a quoted|YAML |the file holds|this is nested|the host would not take|something around|the kernel, or|that needs Linux|this host observes|Too many pages)`)

// entries are the kinds of errors, in the order of the runbook. A page may link to a heading
// of it, so a title stays as it is.
var entries = []entry{
	{
		title: "Configuration", paths: "host host/internal/config internal/schema internal/telemetry plugin/validate.go plugin/service.go plugin/configure.go scim/attributes.go scim/baseurl.go scim/client.go scim/credential.go scim/new.go scim/connector.go scim/oauth.go scim/config fullstory host/internal/aggregate/aggregate.go",
		sentences: having(`share the namespace|^(the )?plugins … and … have no namespace|begins with the namespace|is in no upload, so|holds a secret as plain text|everybody on this machine may read`),
	},
	{
		title: "Secrets", paths: "host/internal/secret host/cmd/baton-host-aws host/internal/fleet/rotate.go host/internal/supervise/renew.go host/internal/files host/internal/broker/password.go",
		sentences: having(`secrets (of (the )?plugin|of plugin …|cannot be resolved)|[Nn]ew secrets of the plugin|no other process of the plugin could take over|^store …|which nothing refers to|has a new value|its secrets were resolved|^the (newest )?credentials for C1 cannot be (resolved|used)`),
	},
	{title: "Expiring credentials", paths: "host/expiry.go host/internal/secret/credential.go"},
	{
		title: "State directory and disk", paths: "host/statedir.go host/baseline.go host/internal/baseline host/internal/syncfile host/internal/files/state.go host/internal/files/dir.go host/internal/status/history",
		sentences: having(`^the (baseline|history|record)|state directory …|directory for temporary files|newer baton-host|kept as the baseline|compared with the file of the baseline`),
	},
	{title: "Shared state", paths: "host/internal/state"},
	{title: "Listen address", paths: "host/internal/status/listen"},
	{title: "Locked programs", paths: "host/lock.go host/internal/pin host/internal/fleet/pin.go host/internal/fleet/installed.go", sentences: having(`\(--unlocked\)`)},
	{title: "Installing connectors", paths: "host/install.go host/installation.go host/internal/registry host/internal/config/trust.go host/cmd/baton-host/install.go"},
	{title: "Command line", complete: true, paths: "host/cmd host/host.go host/internal/call host/internal/diff host/internal/explore host/internal/population host/internal/config/wizard host/plugin.go", sentences: having(`^(the host|…) has no (plugin|upload) …|no refused sync waits for an approval|^there is no file …$`)},

	{title: "C1 cannot be reached", paths: "host/internal/service/client.go host/internal/status/probes.go", sentences: having(`^(no connection to C1|C1 at … (cannot|does not|is not|answers)|C1's token endpoint|no token could be got|C1 did not give)`)},
	{title: "C1 refuses the credentials", paths: "host/internal/service/secrets.go host/internal/service/credentials.go", sentences: having(`C1 refuses the|is not one that C1 gives out|client-id is the one of|client id or secret is not|client id is now|no upload can be served|has no credentials for C1|has no client-id`)},
	{title: "Tasks", paths: "host/internal/service"},
	{title: "Clock", paths: "host/internal/service/check.go", sentences: having(`clock of this machine is …|in the future`)},

	{title: "A plugin does not start", paths: "host/internal/fleet host/internal/child host/internal/supervise/find.go host/internal/supervise/start.go host/internal/supervise/socketdir.go host/internal/supervise/goplugin.go host/internal/supervise/reattach.go host/internal/supervise/unmodified host/internal/proc plugin host/programs.go"},
	{title: "A plugin ends or hangs", paths: "host/internal/supervise host/internal/aggregate/metadata.go host/internal/aggregate/policy host/internal/broker"},
	{title: "Sandbox", paths: "host/internal/proc/sandbox host/internal/proc/cgroup host/internal/supervise/sandbox.go host/internal/supervise/deniedtexts.go host/internal/supervise/accesslog.go", sentences: having(`sandbox of the plugin|its sandbox cannot|memory of this one`)},
	{title: "Limits of the system", paths: "host/internal/errtext/limits.go host/internal/proc/orphans_linux.go", sentences: having(`^a limit of|the limit of open files|no loopback network|over the loopback network|TMPDIR is too long|process that crashes may leave`)},

	{title: "The app cannot be reached", paths: "scim/httpfailure.go host/internal/errtext/public.go scim/failure.go", sentences: having(`^the app, or a proxy before it, is out of order|reached, or closes the connection`)},
	{title: "The app refuses the credentials", sentences: having(`^(the token (is|may) |a token that|it does not (issue|grant)|it issues no|… issues |… does not answer with a token|the app (has refused|refuses (to show|the credentials)|does not offer)|the credentials (are refused|do not allow))|has (just )?issued`)},
	{title: "Rate limits", paths: "scim/retryafter.go", sentences: having(`rate limit|too many requests\. |asks for a longer wait`)},
	{title: "The app's list is refused", paths: "scim scim/internal/listing", sentences: having(`^(the app (refuses (pages|a (plain )?list|…,)|does not accept the cursor)|the place where reading|answered with|… (answered with|sent a list|sends its)|there are no SCIM|it does not serve SCIM|It has (listed|answered))`)},
	{title: "Warnings about an app's data", paths: "scim/membership.go scim/members.go scim/groupsyncer.go scim/account.go", sentences: having(`^scim: (users|resources|members|no group)`)},

	{title: "Change guard", paths: "host/internal/syncrun host/internal/review host/refused.go host/review.go host/cmd/baton-host/approve.go host/cmd/baton-host/review.go", sentences: having(`--accept-deletions|has lost the accounts|not a single account`)},
	{title: "Nothing to fall back on", paths: "host/internal/aggregate/fallback host/internal/syncrun/missing.go", sentences: having(`fall back on for|no baseline to fall|longer ago than max-stale|so there is nothing new to sync|has no baseline(,| in upload)|the plugin failed(;| and the baseline)|a listing of the plugin was rejected|falls back to its baseline|a row of the baseline does not fit|so C1 has nothing of it yet`)},
	{title: "Invalid rows", paths: "host/internal/aggregate/pagecheck host/internal/rename host/internal/aggregate", sentences: having(`^its reply cannot be used`)},
	{title: "Skipped resources", paths: "host/internal/aggregate/skipped.go host/internal/syncrun/figures.go", sentences: having(`NOT_FOUND|no longer finds|lacks? entitlements or grants`)},
	{title: "Unproven list", paths: "host/internal/aggregate/evidence.go host/internal/baseline/evidence.go scim/internal/listing/end.go", sentences: having(`nothing proves|require-evidence`)},
	{title: "An interrupted change", paths: "host/internal/aggregate/actions.go host/internal/aggregate/provisioning.go host/internal/aggregate/tickets.go", sentences: having(`whether the app did it`)},

	{title: "Control socket", paths: "host/internal/control host/control.go host/status.go"},
	{title: "Reload", paths: "host/reload.go host/serving.go host/internal/watch", sentences: having(`configuration (is|was) (not reloaded|refused)`)},
	{title: "Webhook", paths: "host/notify.go host/internal/notify host/internal/config/notify.go"},
	{title: "Lost log lines", paths: "host/internal/hostlog host/internal/pluginlog"},
	{title: "Internal errors", paths: "host/internal/errtext host/internal/status internal/mutualtls host/internal/syncfile/sdkfast host/internal/call/answer.go scim/journal.go scim/position.go plugin/gate.go"},
}

// isSentence reports whether an operator can meet a text as an error, a warning or a reason.
func isSentence(one sentence) bool {
	for _, path := range quiet {
		if (one.path == path || strings.HasPrefix(one.path, path+"/")) && !one.isError && !one.isLogged {
			return exceptions.MatchString(one.text)
		}
	}
	return true
}

// entryOf returns the title of the entry that has a sentence.
func entryOf(one sentence) (string, bool) {
	for _, entry := range entries {
		if entry.sentences != nil && entry.sentences.MatchString(one.text) {
			return entry.title, true
		}
	}
	title, longest := "", 0
	for _, entry := range entries {
		for path := range strings.FieldsSeq(entry.paths) {
			if len(path) > longest && (one.path == path || strings.HasPrefix(one.path, path+"/")) {
				title, longest = entry.title, len(path)
			}
		}
	}
	return title, title != ""
}

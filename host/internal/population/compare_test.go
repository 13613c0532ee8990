package population_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	v2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/conductorone/baton-sdk/pkg/connectorstore"
	"github.com/conductorone/baton-sdk/pkg/dotc1z"
	"github.com/conductorone/baton-sdk/pkg/types/resource"
	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/internal/baseline"
	"github.com/batonhost/baton-host/host/internal/population"
	"github.com/batonhost/baton-host/host/internal/syncfile"
)

// person is an account of a sync file.
type person struct {
	id, login, name, externalID string
	emails                      []string
}

// writeFile writes a sync file with these accounts by resource type.
func writeFile(t *testing.T, path string, accounts map[string][]person) {
	t.Helper()
	ctx := t.Context()
	store, err := dotc1z.NewStore(ctx, path, dotc1z.WithTmpDir(t.TempDir()))
	require.NoError(t, err)
	_, err = store.StartNewSync(ctx, connectorstore.SyncTypeFull, "")
	require.NoError(t, err)
	for id, people := range accounts {
		users := v2.ResourceType_builder{Id: id, DisplayName: "User", Traits: []v2.ResourceType_Trait{v2.ResourceType_TRAIT_USER}}.Build()
		require.NoError(t, store.PutResourceTypes(ctx, users))
		for _, one := range people {
			options := []resource.UserTraitOption{resource.WithUserLogin(one.login)}
			for i, email := range one.emails {
				options = append(options, resource.WithEmail(email, i == 0))
			}
			row, err := resource.NewUserResource(one.name, users, one.id, options, resource.WithResourceProfile(map[string]any{"external_id": one.externalID}))
			require.NoError(t, err)
			require.NoError(t, store.PutResources(ctx, row))
		}
	}
	require.NoError(t, store.EndSync(ctx))
	require.NoError(t, store.Close(ctx))
}

// compare returns the differences in words, and the result.
func compare(t *testing.T, file, app, csv, by string) ([]string, *population.Result, error) {
	t.Helper()
	parsed, err := population.ParseBy(by)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "users.csv")
	require.NoError(t, os.WriteFile(path, []byte(csv), 0o600))
	opened, err := population.Open(t.Context(), file, app)
	require.NoError(t, err)
	defer func() { require.NoError(t, opened.Close(t.Context())) }()
	var words []string
	result, err := population.Compare(t.Context(), opened, path, parsed, func(one population.Difference) error {
		if one.Account != nil {
			words = append(words, fmt.Sprintf("%s: %s: account %s", one.App, one.Where, one.Account.ID))
		} else {
			words = append(words, fmt.Sprintf("%s: %s: line %d %s", one.App, one.Where, one.Row.Line, one.Row.Value))
		}
		return nil
	})
	return words, result, err
}

// wide is a text in UTF-16.
func wide(order binary.AppendByteOrder, text string) string {
	var data []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		data = order.AppendUint16(data, unit)
	}
	return string(data)
}

// three are the accounts of most tests.
func three(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.c1z")
	writeFile(t, path, map[string][]person{"user": {
		{id: "1", login: "Ada", name: "Ada Lovelace", externalID: "A-1", emails: []string{"Ada@Example.com", "countess@example.com"}},
		{id: "2", login: "bo", name: "Bo Ström", externalID: "B-2", emails: []string{"bo@example.com"}},
		{id: "3", login: "service", name: "A service"},
	}})
	return path
}

// found are the differences where the CSV file has both accounts that can be found.
var found = []string{"user: cannot be compared: account 3"}

func TestCompare_ReadsFilesAsProgramsWriteThem(t *testing.T) {
	t.Parallel()
	file := three(t)
	for name, c := range map[string]struct {
		csv  string
		by   string // "email" if it is empty
		want []string
	}{
		"plain":                         {csv: "email\nada@example.com\nbo@example.com\n"},
		"without a last line break":     {csv: "email\nada@example.com\nbo@example.com"},
		"another address":               {csv: "email\nCOUNTESS@example.com\nbo@example.com\n"},
		"two addresses in a cell":       {csv: "email\n\"x@example.com; ada@example.com\"\nbo@example.com\n"},
		"addresses with names":          {csv: "email\n\"Lovelace, Ada <ada@example.com>\"\nbo@example.com\n"},
		"a byte order mark":             {csv: "\ufeffemail,name\r\nada@example.com,x\r\nbo@example.com,y\r\n"},
		"UTF-16, as Excel writes it":    {csv: wide(binary.LittleEndian, "\ufeffName\tEmail\r\nStröm\tada@example.com\r\n\tbo@example.com\r\n")},
		"UTF-16, the other order":       {csv: wide(binary.BigEndian, "\ufeffName;Email\r\nx;ada@example.com\r\n;bo@example.com\r\n")},
		"UTF-16 without a mark":         {csv: wide(binary.LittleEndian, "email\r\nada@example.com\r\nbo@example.com\r\n")},
		"semicolons":                    {csv: "id;email;note\n7;ada@example.com;a, b, c, d\n8;bo@example.com;\n"},
		"commas in the header":          {csv: "email;name, first;name, last;\"a, b\"\nada@example.com;x;y;z\nbo@example.com;;;\n"},
		"tabs, and empty columns":       {csv: "a\temail\tb\n\tada@example.com\t\n\tbo@example.com\t\n"},
		"bars":                          {csv: "a|email\n1|ada@example.com\n2|bo@example.com\n"},
		"the separator in the first":    {csv: "sep=;\r\nid;email\r\n1;ada@example.com\r\n2;bo@example.com\r\n"},
		"line breaks in quotes":         {csv: "note,email\n\"a\n\"\"b\"\"\n\",ada@example.com\nx,bo@example.com\n"},
		"spaces behind the separator":   {csv: "note, email\nx, \"ada@example.com\"\ny,  bo@example.com \n"},
		"line breaks of old programs":   {csv: "email,x\rada@example.com,1\rbo@example.com,2\r"},
		"other letter case":             {csv: "ID,E-Mail\n1,ada@example.com\n2,bo@example.com\n"},
		"spaces in the header":          {csv: " E mail ;x\nada@example.com;1\nbo@example.com;2\n"},
		"a column with another name":    {csv: "Email,Work Email\nx,ada@example.com\ny,bo@example.com\n", by: "email=work email"},
		"one of two alike, exactly":     {csv: "E-mail,Email\nx,ada@example.com\ny,bo@example.com\n", by: "email=Email"},
		"rows that end early":           {csv: "email,a,b\nada@example.com\nbo@example.com,1\n"},
		"columns without a name":        {csv: "email,,\nada@example.com,,\nbo@example.com,,\n"},
		"empty lines":                   {csv: "email,x\n\nada@example.com,1\n\n\nbo@example.com,2\n\n"},
		"rows that repeat others":       {csv: "email\nada@example.com\nADA@example.com\nbo@example.com\nbo@example.com\n"},
		"rows that repeat what is new":  {csv: "email\nada@example.com\nbo@example.com\nnew@example.com\nnew@example.com\n", want: []string{"user: only in the CSV file: line 4 new@example.com"}},
		"a value that is no address":    {csv: "email\nada@example.com\nbo@example.com\nn/a\n", want: []string{"user: only in the CSV file: line 4 n/a"}},
		"empty cells":                   {csv: "email,name\nada@example.com,\nbo@example.com,\n,Nobody\n\" \",\u00a0\n", want: []string{"user: cannot be compared: line 4 ", "user: cannot be compared: line 5 "}},
		"empty cells of one column":     {csv: "email\nada@example.com\n\n\"\"\nbo@example.com\n\n", want: []string{"user: cannot be compared: line 3 ", "user: cannot be compared: line 4 "}},
		"a row that ends before":        {csv: "x,email\n1,ada@example.com\n2,bo@example.com\nTotal: 2\n", want: []string{"user: cannot be compared: line 4 "}},
		"lines are counted in the file": {csv: "sep=,\nnote,email\n\"a\nb\",ada@example.com\n,bo@example.com\n,new@example.com\n", want: []string{"user: only in the CSV file: line 6 new@example.com"}},
		"no user":                       {csv: "email\n", want: []string{"user: only in the sync file: account 1", "user: only in the sync file: account 2"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.by == "" {
				c.by = "email"
			}
			words, result, err := compare(t, file, "", c.csv, c.by)
			require.NoError(t, err)
			require.ElementsMatch(t, append(c.want, found...), words)
			require.False(t, result.Agrees(), "an account without an address may be anybody")
			count := result.Counts[0]
			require.Equal(t, 3, count.Both+count.OnlyInFile+count.AccountsWithoutKey, "every account is counted")
		})
	}
}

func TestCompare_CountsWhatItDoesNotList(t *testing.T) {
	t.Parallel()
	_, result, err := compare(t, three(t), "", "email\nada@example.com\ncountess@example.com\nADA@example.com\n\nnew@example.com\nnew@example.com\n", "email")
	require.NoError(t, err)
	require.Equal(t, []population.Count{{
		App: population.App{Name: "user", Evidence: baseline.NotReported}, Both: 1, OnlyInFile: 1, OnlyInCSV: 1,
		AccountsWithoutKey: 1, RowsWithoutKey: 1, RepeatedRows: 2,
	}}, result.Counts)
}

func TestCompare_ByEachAttribute(t *testing.T) {
	t.Parallel()
	file := three(t)
	for name, c := range map[string]struct {
		csv, by  string
		want     []string
		external bool
	}{
		"login":                      {csv: "LOGIN\nada\nBO\nservice\n", by: "login"},
		"login, in another column":   {csv: "User Name\nada\nBO\nservice\n", by: "login=user_name"},
		"name":                       {csv: "name\n  ada   lovelace\nBo Stro\u0308m\nA SERVICE\n", by: "Name"},
		"id":                         {csv: "id\n1\n2\n3\n", by: "id"},
		"id that is not there":       {csv: "id\n1\n2\n4\n", by: "id", want: []string{"user: only in the sync file: account 3", "user: only in the CSV file: line 4 4"}},
		"external id":                {csv: "External ID\nA-1\nB-2\n", by: "id=External ID", external: true, want: []string{"user: cannot be compared: account 3"}},
		"external id in other case":  {csv: "id\nA-1\nb-2\n", by: "id", external: true, want: []string{"user: only in the sync file: account 2", "user: cannot be compared: account 3", "user: only in the CSV file: line 3 b-2"}},
		"ids before external ids":    {csv: "id\n1\nB-2\n3\n", by: "id", want: []string{"user: only in the sync file: account 2", "user: only in the CSV file: line 3 B-2"}},
		"e-mail is an attribute too": {csv: "E-MAIL\nada@example.com\nbo@example.com\n", by: "e-mail", want: []string{"user: cannot be compared: account 3"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			words, result, err := compare(t, file, "", c.csv, c.by)
			require.NoError(t, err)
			require.ElementsMatch(t, c.want, words)
			require.Equal(t, len(c.want) == 0, result.Agrees())
			require.Equal(t, c.external, result.Counts[0].ByExternalID)
		})
	}
}

func TestCompare_RefusesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	file := three(t)
	var columns []string
	for i := range 100 {
		columns = append(columns, fmt.Sprintf("%d%s", i, strings.Repeat("x", 1000)))
	}
	for name, c := range map[string]struct {
		csv  string
		want []string
	}{
		"nothing":                    {"", []string{"it is empty", "names of the columns"}},
		"a byte order mark alone":    {"\ufeff", []string{"it is empty"}},
		"the same in UTF-16":         {"\xff\xfe", []string{"it is empty"}},
		"white space":                {" \r\n\n", []string{"it is empty"}},
		"a missing column":           {"Name;Work Email\nx;y\n", []string{`no column "email"`, `"Name", "Work Email"`, `--by "email=Name"`}},
		"no header":                  {"ada@example.com,Ada\n", []string{`no column "email" in its first row`, `"ada@example.com", "Ada"`}},
		"a hundred columns":          {strings.Join(columns, ",") + "\n", []string{`no column "email"`, "and 60 more"}},
		"two columns alike":          {"E-mail,Email\na,b\n", []string{`"E-mail" and "Email"`, "exactly"}},
		"two columns of the name":    {"email,email\na,b\n", []string{`"email" and "email"`, "rename"}},
		"a workbook":                 {"PK\x03\x04\x14\x00", []string{"a workbook", "CSV UTF-8"}},
		"an old workbook":            {"\xd0\xcf\x11\xe0\xa1\xb1", []string{"a workbook", "CSV UTF-8"}},
		"a PDF":                      {"%PDF-1.7\n", []string{"a PDF"}},
		"a web page":                 {"\n<!DOCTYPE html><p>email\n", []string{"a web page"}},
		"JSON":                       {`[{"email":"ada@example.com"}]`, []string{"it is JSON"}},
		"zero bytes":                 {"email\nada\x00@example.com\n", []string{"it is no CSV", "line 2", "zero byte"}},
		"no text":                    {"\x01\x02\x80\x90\xfe\n", []string{"it is no text"}},
		"UTF-32":                     {"\xff\xfe\x00\x00e\x00\x00\x00m\x00\x00\x00", []string{"zero byte"}},
		"ISO-8859-1":                 {"email;name\nada@example.com;Str\xf6m\n", []string{"line 2 is not UTF-8", "ISO-8859-1", "save it again as CSV in UTF-8"}},
		"UTF-16 that is cut short":   {wide(binary.LittleEndian, "\ufeffemail\r\nada@example.com") + "x", []string{"UTF-16", "cut short"}},
		"UTF-16 with half a pair":    {wide(binary.LittleEndian, "\ufeffemail\r\n") + "\x00\xd8x\x00", []string{"UTF-16", "lost"}},
		"quotes without an end":      {"email,x\nada@example.com,\"1\nbo@example.com,2\n", []string{"begins in line 2", "no end"}},
		"a quote within a value":     {"sep=,\nemail,x\nada@example.com,a \"b\" c\n", []string{"line 3", "quotation mark"}},
		"a separator without quotes": {"name,email\nLovelace, Ada,ada@example.com\n", []string{"line 2 has 3 columns and the first row has 2", "(,)"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := compare(t, file, "", c.csv, "email")
			require.Error(t, err)
			for _, want := range append(c.want, "users.csv cannot be compared with: ") {
				require.ErrorContains(t, err, want)
			}
			require.Less(t, len(err.Error()), 4000)
		})
	}
}

func TestParseBy_RefusesWhatIsNoAttribute(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "email, login, id, name", "phone": `"phone"`, "Work Email": "email=COLUMN", "=email": "email, login", "email=": "names no column", "email= ": "names no column",
	} {
		_, err := population.ParseBy(text)
		require.ErrorContains(t, err, want, text)
	}
}

// TestCompare_EachApp: the plugins of a file are compared one by one, and the types of a
// connector without a namespace together.
func TestCompare_EachApp(t *testing.T) {
	t.Parallel()
	ada, bo := person{id: "1", emails: []string{"ada@example.com"}}, person{id: "2", emails: []string{"bo@example.com"}}
	const csv = "email\nada@example.com\nbo@example.com\n"
	for name, c := range map[string]struct {
		accounts map[string][]person
		app      string
		want     []string
		apps     []string
	}{
		"two plugins": {
			accounts: map[string][]person{"a.user": {ada, bo}, "b.user": {bo}},
			want:     []string{"b: only in the CSV file: line 2 ada@example.com"}, apps: []string{"a", "b"},
		},
		"one of them":               {accounts: map[string][]person{"a.user": {ada, bo}, "b.user": {bo}}, app: "a", apps: []string{"a"}},
		"two types of a plugin":     {accounts: map[string][]person{"a.user": {ada}, "a.guest": {bo}}, apps: []string{"a"}},
		"types without a namespace": {accounts: map[string][]person{"user": {ada}, "guest": {bo}}, apps: []string{"guest+user"}},
		"an app without accounts": {
			accounts: map[string][]person{"a.user": {ada, bo}, "b.user": nil},
			want:     []string{"b: only in the CSV file: line 2 ada@example.com", "b: only in the CSV file: line 3 bo@example.com"}, apps: []string{"a", "b"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "x.c1z")
			writeFile(t, path, c.accounts)
			words, result, err := compare(t, path, c.app, csv, "email")
			require.NoError(t, err)
			require.Equal(t, c.want, words)
			var apps []string
			for _, count := range result.Counts {
				apps = append(apps, count.Name)
			}
			require.Equal(t, c.apps, apps)
		})
	}
}

func TestOpen_RefusesAnAppThatIsNotThere(t *testing.T) {
	t.Parallel()
	_, err := population.Open(t.Context(), three(t), "fullstory")
	require.ErrorContains(t, err, `no accounts of the app "fullstory"; it has those of: user`)
	none := filepath.Join(t.TempDir(), "none.c1z")
	writeFile(t, none, nil)
	_, err = population.Open(t.Context(), none, "fullstory")
	require.ErrorContains(t, err, "no app")
	_, _, err = compare(t, none, "", "email\n", "email")
	require.ErrorContains(t, err, "no type of accounts")
}

// writeRecord writes the record beside a sync file, as a sync under last-good does.
func writeRecord(t *testing.T, path string, plugins map[string]baseline.Part) {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	record, err := json.Marshal(map[string]any{"version": 1, "syncs": map[string]any{
		fmt.Sprintf("%x", sha256.Sum256(data)): baseline.Sync{StartedAt: time.Now(), Plugins: plugins},
	}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path+".json", record, 0o600))
}

// TestOpen_KnowsTheRecord: the record beside a file names the plugins of its types, and has
// their evidence; a record of another file has not.
func TestOpen_KnowsTheRecord(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "x.c1z")
	writeFile(t, path, map[string][]person{"user": {{id: "1"}}, "b.user": {{id: "2"}}, "c.user": {{id: "3"}}})
	writeRecord(t, path, map[string]baseline.Part{
		"hr": {ResourceTypes: []string{"user"}, Evidence: []baseline.Evidence{{ResourceType: "user", Grade: baseline.Proven}}},
		"b": {ResourceTypes: []string{"b.user", "b.group"}, Evidence: []baseline.Evidence{
			{ResourceType: "b.group", Grade: baseline.Proven}, {ResourceType: "b.user", Grade: baseline.Unproven, Reason: "it ends at 100 users"},
		}},
	})
	link := filepath.Join(t.TempDir(), "link.c1z")
	require.NoError(t, os.Symlink(path, link))
	for _, name := range []string{path, link} {
		file, err := population.Open(t.Context(), name, "")
		require.NoError(t, err)
		require.Equal(t, []population.App{
			{Name: "b", Evidence: baseline.Unproven, Reason: "it ends at 100 users"},
			{Name: "c", Evidence: baseline.NotReported},
			{Name: "hr", Evidence: baseline.Proven},
		}, file.Apps())
		require.NoError(t, file.Close(t.Context()))
	}

	accounts := map[string]string{}
	file, err := population.Open(t.Context(), path, "")
	require.NoError(t, err)
	require.NoError(t, file.EachAccount(t.Context(), func(_ population.App, account syncfile.Account) error {
		accounts[account.ID] = account.App
		return nil
	}))
	require.NoError(t, file.Close(t.Context()))
	require.Equal(t, map[string]string{"1": "hr", "2": "b", "3": "c"}, accounts)

	writeFile(t, filepath.Join(dir, "y.c1z"), map[string][]person{"b.user": nil})
	require.NoError(t, os.Rename(filepath.Join(dir, "y.c1z"), path))
	file, err = population.Open(t.Context(), path, "")
	require.NoError(t, err)
	require.Equal(t, []population.App{{Name: "b", Evidence: baseline.NotReported}}, file.Apps())
	require.NoError(t, file.Close(t.Context()))
}

// TestOpen_NamesAStandAloneConnector: its file holds its name nowhere, but may be named after
// it.
func TestOpen_NamesAStandAloneConnector(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"baton-github.c1z": "github", "baton-github": "github", "sync.c1z": "service+user"} {
		path := filepath.Join(t.TempDir(), name)
		writeFile(t, path, map[string][]person{"user": {{id: "1"}}, "service": {{id: "2"}}})
		file, err := population.Open(t.Context(), path, "")
		require.NoError(t, err)
		require.Equal(t, []population.App{{Name: want, Evidence: baseline.NotReported}}, file.Apps())
		require.NoError(t, file.EachAccount(t.Context(), func(_ population.App, account syncfile.Account) error {
			require.Equal(t, want, account.App)
			return nil
		}))
		require.NoError(t, file.Close(t.Context()))
	}
}

package access

import "slices"

// Permission is something a person may or may not do.
type Permission string

// The permissions. "see" reads, everything masked; what shows a person's data in
// the clear, or changes something, is a permission of its own.
const (
	OwnAccount Permission = "own_account" // one's password, second factor, passkeys, sessions
	SeeAccess  Permission = "see_access"  // this table
	SeeToday   Permission = "see_today"   // what waits for me
	SeeBoard   Permission = "see_board"
	Search     Permission = "search" // finds only what the reader may see anyway
	SeeLedger  Permission = "see_ledger"
	SeeRules   Permission = "see_rules"

	SeeCampaigns    Permission = "see_campaigns"
	EditCampaign    Permission = "edit_campaign"    // make, change, submit
	ApproveCampaign Permission = "approve_campaign" // never the maker's own: the four eyes see to that
	RunCampaign     Permission = "run_campaign"     // start, pause, finish
	SeeScripts      Permission = "see_scripts"
	EditScript      Permission = "edit_script"
	ApproveScript   Permission = "approve_script"
	SeeTemplates    Permission = "see_templates" // what customers are told in writing
	EditTemplate    Permission = "edit_template"
	ApproveTemplate Permission = "approve_template"

	SeeContacts    Permission = "see_contacts" // attempts and their verdicts
	HearRecordings Permission = "hear_recordings"
	Reconcile      Permission = "reconcile" // say how an attempt of unknown end ended
	SeeCustomers   Permission = "see_customers"
	SeeConsents    Permission = "see_consents"
	StopContact    Permission = "stop_contact"
	EditDNC        Permission = "edit_dnc"    // put numbers on the do-not-contact list, take them off
	Unmask         Permission = "unmask"      // one customer, with a reason, an entry the customer sees
	UnmaskBulk     Permission = "unmask_bulk" // ask for many; somebody else approves
	ApproveUnmask  Permission = "approve_unmask"
	Export         Permission = "export" // lists as CSV or XLSX, masked

	SeeComplaints    Permission = "see_complaints"
	OpenComplaint    Permission = "open_complaint"   // type in what a customer said
	NoteComplaint    Permission = "note_complaint"   // add to its history
	HandleComplaint  Permission = "handle_complaint" // take, write findings, propose
	ApproveComplaint Permission = "approve_complaint"
	ApproveUpper     Permission = "approve_upper" // an extension that a rule reserves to the upper institution

	SeeApprovals    Permission = "see_approvals"     // what waits for a second person and concerns one
	SeeAllApprovals Permission = "see_all_approvals" // also what somebody else may decide
	EditRules       Permission = "edit_rules"        // propose a pack, try it on the past
	ApproveRules    Permission = "approve_rules"

	VerifyLedger Permission = "verify_ledger"
	SeeSystem    Permission = "see_system"
	SeeStaff     Permission = "see_staff"
	EditStaff    Permission = "edit_staff" // add, disable, reset a second factor, ask for a change of roles
	ApproveStaff Permission = "approve_staff"
	SeeAPI       Permission = "see_api"     // keys by name, webhooks and their deliveries
	EditAPI      Permission = "edit_api"    // make and end keys, webhooks; send again
	ApproveAPI   Permission = "approve_api" // keys that reach clear data or loosen what protects customers
)

// Line is one line of the permission table.
type Line struct {
	Permission Permission
	Roles      []Role
}

// Table is who may do what: the one place where that is written. /access shows
// it, and a test walks every page as every role against it.
func Table() []Line {
	return []Line{
		{OwnAccount, Roles()},
		{SeeAccess, Roles()},
		{SeeToday, Roles()},
		{SeeBoard, Roles()},
		{Search, Roles()},
		{SeeLedger, Roles()},
		{SeeRules, Roles()},

		{SeeCampaigns, []Role{CampaignManager, Approver, Supervisor, Handler, ComplaintApprover, Senior, Compliance, Auditor}},
		{EditCampaign, []Role{CampaignManager}},
		{ApproveCampaign, []Role{Approver}},
		{RunCampaign, []Role{CampaignManager, Approver, Supervisor}},
		{SeeScripts, []Role{CampaignManager, Approver, Agent, Supervisor, Handler, ComplaintApprover, Senior, Compliance, Auditor}},
		{EditScript, []Role{CampaignManager}},
		{ApproveScript, []Role{Approver, Compliance}},
		{SeeTemplates, []Role{CampaignManager, Approver, Agent, Supervisor, Handler, ComplaintApprover, Compliance, Auditor}},
		{EditTemplate, []Role{Handler, Compliance}},
		{ApproveTemplate, []Role{ComplaintApprover, Compliance}},

		{SeeContacts, []Role{CampaignManager, Approver, Agent, Supervisor, Handler, ComplaintApprover, Senior, Compliance, Auditor}},
		{HearRecordings, []Role{Supervisor, Handler, ComplaintApprover, Senior, Compliance, Auditor}},
		{Reconcile, []Role{CampaignManager, Supervisor, Compliance}},
		{SeeCustomers, []Role{CampaignManager, Agent, Supervisor, Handler, ComplaintApprover, Compliance, Auditor}},
		{SeeConsents, []Role{CampaignManager, Agent, Supervisor, Handler, ComplaintApprover, Compliance, Auditor}},
		{StopContact, []Role{Agent, Supervisor, Handler, Compliance}},
		{EditDNC, []Role{Handler, Compliance}},
		{Unmask, []Role{Supervisor, Handler, ComplaintApprover, Compliance, Auditor}},
		{UnmaskBulk, []Role{Handler, Compliance}},
		{ApproveUnmask, []Role{ComplaintApprover, Compliance}},
		{Export, []Role{CampaignManager, Supervisor, Handler, ComplaintApprover, Compliance, Auditor}},

		{SeeComplaints, []Role{Supervisor, Handler, ComplaintApprover, Senior, Compliance, Auditor}},
		{OpenComplaint, []Role{Agent, Supervisor, Handler, Compliance}},
		{NoteComplaint, []Role{Supervisor, Handler, ComplaintApprover, Senior, Compliance}},
		{HandleComplaint, []Role{Handler}},
		{ApproveComplaint, []Role{ComplaintApprover}},
		{ApproveUpper, []Role{Senior}},

		{SeeApprovals, []Role{CampaignManager, Approver, Supervisor, Handler, ComplaintApprover, Senior, Compliance, Auditor, Admin}},
		{SeeAllApprovals, []Role{Compliance, Auditor}},
		{EditRules, []Role{Compliance}},
		{ApproveRules, []Role{Approver, Compliance}},

		{VerifyLedger, []Role{Compliance, Auditor, Admin}},
		{SeeSystem, []Role{Compliance, Auditor, Admin}},
		{SeeStaff, []Role{Compliance, Auditor, Admin}},
		{EditStaff, []Role{Admin}},
		{ApproveStaff, []Role{Compliance, Admin}},
		{SeeAPI, []Role{Compliance, Auditor, Admin}},
		{EditAPI, []Role{Admin}},
		{ApproveAPI, []Role{Compliance, Admin}},
	}
}

// Grades says which permission it is to have a grade that a rule pack demands
// of whoever approves an extension (approver of a deadline).
func Grades() map[string]string {
	return map[string]string{"upper_institution": string(ApproveUpper)}
}

// granted is Table by permission; it is asked on every request.
var granted = func() map[Permission][]Role {
	m := map[Permission][]Role{}
	for _, l := range Table() {
		m[l.Permission] = l.Roles
	}
	return m
}()

// May reports whether any of the roles carries the permission.
func May(roles []Role, p Permission) bool {
	return slices.ContainsFunc(granted[p], func(r Role) bool { return slices.Contains(roles, r) })
}

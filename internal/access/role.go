// Package access knows who works here, who is signed in, and who may do what.
package access

// Role is a job in the bank.
type Role string

// The roles.
const (
	CampaignManager   Role = "campaign_manager"
	Approver          Role = "approver"
	Agent             Role = "agent"      // on the line with customers (坐席)
	Supervisor        Role = "supervisor" // of agents: floor and quality (班长、质检)
	Handler           Role = "handler"
	ComplaintApprover Role = "complaint_approver"
	Senior            Role = "senior" // upper institution, or senior management of the head office (上级机构、总行高级管理人员)
	Compliance        Role = "compliance"
	Auditor           Role = "auditor" // reads all, changes nothing
	Admin             Role = "admin"   // keeps the system, sees no personal data
)

// Roles lists every role.
func Roles() []Role {
	return []Role{CampaignManager, Approver, Agent, Supervisor, Handler, ComplaintApprover, Senior, Compliance, Auditor, Admin}
}

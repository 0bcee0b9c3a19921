//! Asking Cedar.

use std::sync::Arc;

use cedar_policy::{Authorizer, Context, Effect, Entities, Entity, EntityUid, Request, RestrictedExpression};
use chrono::{DateTime, SecondsFormat};
use meshgate_identity::Principal;
use meshgate_model::mutant;
use meshgate_product::Release;

use crate::entities;
use crate::refusal::Refusal;
use crate::rule::Rule;
use crate::schema::Kind;
use crate::slice::{Action, Slice};
use crate::{Policies, RequestContext};

/// One principal with everything that policies can look at, ready to be asked about resources.
pub(super) struct Inquiry<'a> {
    policies: &'a Policies,
    authorizer: Authorizer,
    principal: EntityUid,
    entities: Entities,
    context: Context,
}

impl<'a> Inquiry<'a> {
    pub(super) fn new(
        policies: &'a Policies,
        principal: &Principal,
        release: &Release,
        request: &RequestContext,
        described: Vec<Entity>,
    ) -> Result<Self, Refusal> {
        let own = entities::principal(principal, &release.mesh().attributes)
            .map_err(|name| Refusal::Failed(format!("the attribute `{name}` is not of its declared type")))?
            .map_err(Refusal::failed)?;
        let all = described.into_iter().chain(policies.actions.iter().cloned()).chain([own]);
        Ok(Self {
            policies,
            authorizer: Authorizer::new(),
            principal: entities::principal_uid(principal),
            entities: Entities::from_entities(all, None).map_err(Refusal::failed)?,
            context: context(principal, request)?,
        })
    }

    /// The satisfied policies of one effect about one action, sorted by id.
    pub(super) fn satisfied(
        &self,
        slice: &Slice,
        effect: Effect,
        action: Action,
        resource: &EntityUid,
    ) -> Result<Vec<&'a Arc<Rule>>, Refusal> {
        let mut rules = Vec::new();
        let mut policies = slice.policies(action, effect).peekable();
        if policies.peek().is_none() {
            return Ok(rules);
        }
        // SECURITY: Cedar knows nothing of an entity that was not described, so a forbid of what holds it would not hold.
        if self.entities.get(resource).is_none() {
            return Err(Refusal::Failed(format!("{resource} was not described")));
        }
        let action = Kind::Action.uid(action.as_str());
        let request = Request::new(self.principal.clone(), action, resource.clone(), self.context.clone(), None);
        let request = request.map_err(Refusal::failed)?;
        for policies in policies {
            let response = self.authorizer.is_authorized(&request, policies, &self.entities);
            // SECURITY: Cedar skips a policy that it cannot evaluate. For a forbid that would be a hole, so any error
            // denies.
            if let Some(error) = response.diagnostics().errors().next()
                && !mutant("a policy that fails is no forbid")
            {
                return Err(Refusal::failed(error));
            }
            for id in response.diagnostics().reason() {
                let rule = self.policies.rules.get(id);
                rules.push(rule.ok_or_else(|| Refusal::Failed(format!("the policy `{id}` has no rule")))?);
            }
        }
        rules.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        Ok(rules)
    }

    /// Whether Cedar permits, as it stands.
    pub(super) fn permits(&self, slice: &Slice, action: Action, resource: &EntityUid) -> Result<bool, Refusal> {
        Ok(self.satisfied(slice, Effect::Forbid, action, resource)?.is_empty()
            && !self.satisfied(slice, Effect::Permit, action, resource)?.is_empty())
    }
}

fn context(principal: &Principal, request: &RequestContext) -> Result<Context, Refusal> {
    use RestrictedExpression as Value;
    let now = DateTime::from_timestamp_millis(request.now.millis())
        .ok_or_else(|| Refusal::Failed("the time of the request is no time".to_owned()))?
        .to_rfc3339_opts(SecondsFormat::Millis, true);
    let authentication = principal.authentication().as_str().to_owned();
    let fields = [
        Some(("authentication", Value::new_string(authentication))),
        Some(("now", Value::new_datetime(now))),
        request.purpose.clone().map(|purpose| ("purpose", Value::new_string(purpose))),
        // SECURITY: without an address, a policy that asks for it fails to evaluate, which denies.
        request.client_ip.map(|address| ("clientIp", Value::new_ip(address.to_string()))),
    ];
    let fields = fields.into_iter().flatten().map(|(name, value)| (name.to_owned(), value));
    Context::from_pairs(fields).map_err(Refusal::failed)
}

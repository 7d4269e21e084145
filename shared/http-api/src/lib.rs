//! What both HTTP surfaces share: claims, roles, problem details.
